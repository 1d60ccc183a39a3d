/**
 * npm run bundle: one folder, and a .tar.gz of it, that runs on a bare x86-64 Linux with a GPU driver and the Vulkan loader.
 *
 * In it: this Node, Dawn, the built sources of src/ and of the benchmarks, the packages they import, kernels, the fixtures
 * of the conformance cases, bench.sh. Nothing is installed on the box, and nothing is fetched.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { build } from 'vite';
import { commitNow } from '../report.ts';

const NAME = 'prefgrad-gpu-box';
const OUT = 'build/gpu-box';
const box = join(OUT, NAME);
const MOST_BYTES = 60e6;

const entries = [
  'src/cli/main.ts',
  'src/runtime/node.ts',
  'bench/run.ts',
  'bench/gpu-box/compare.ts',
  'test/conformance/gpu-box.ts',
];
/** What a user's machine needs beyond these, it has: tsx translates sources, which are built here. */
const NOT_NEEDED = ['tsx', '@webgpu/types'];

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
}

function manifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
}

/** Folders in node_modules of all packages that `names` need, themselves included. */
function closure(names: readonly string[], parent = '.'): string[] {
  return names.flatMap((name) => {
    const nested = join(parent, 'node_modules', name);
    const folder = exists(nested) ? nested : join('node_modules', name);
    return [folder, ...closure(Object.keys(manifest(folder).dependencies ?? {}), folder)];
  });
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

if (process.platform !== 'linux' || process.arch !== 'x64')
  throw new Error('The bundle holds the Node that makes it, so make it on x86-64 Linux.');
rmSync(OUT, { recursive: true, force: true });
mkdirSync(box, { recursive: true });
await build({
  configFile: false,
  publicDir: false,
  logLevel: 'warn',
  build: {
    outDir: box,
    emptyOutDir: false,
    target: 'node20',
    minify: false,
    ssr: true,
    rolldownOptions: {
      input: entries,
      // The peers are installed for their own benchmark only, which the box does without.
      external: /peers\/(contenders|transformers)|\.\/contenders/,
      output: { preserveModules: true, preserveModulesRoot: '.', entryFileNames: '[name].js' },
    },
  },
});
for (const folder of new Set(
  closure(Object.keys(manifest('.').dependencies ?? {}).filter((n) => !NOT_NEEDED.includes(n))),
))
  cpSync(folder, join(box, folder), {
    recursive: true,
    // Of Dawn only the build for this platform; source maps and type declarations nowhere.
    filter: (path) => !/webgpu\/dist\/(?!linux-x64)[^/]+$|\.map$|\.d\.[cm]?ts$/.test(path),
  });
for (const folder of ['kernels', 'test/fixtures', 'examples/stories260K', 'examples/quickstart'])
  cpSync(folder, join(box, folder), { recursive: true });
for (const file of ['bench/kernels/matmul_tile16.wgsl', 'bench/gpu-box/pytorch_dpo.py', 'LICENSE'])
  cpSync(file, join(box, file));
copyFileSync('bench/gpu-box/bench.sh', join(box, 'bench.sh'));
// Vulkan's loader, for boxes whose driver comes without it.
const loader = ['/usr/lib/x86_64-linux-gnu/libvulkan.so.1', '/usr/lib64/libvulkan.so.1'].find(exists);
if (loader !== undefined) {
  mkdirSync(join(box, 'lib'));
  copyFileSync(loader, join(box, 'lib', 'libvulkan.so.1'));
}
copyFileSync(process.execPath, join(box, 'node'));
chmodSync(join(box, 'node'), 0o755);
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
// The box has no clone to ask for its commit.
const stamp = { name: 'prefgrad', type: 'module', version, commit: commitNow() };
writeFileSync(join(box, 'package.json'), `${JSON.stringify(stamp, null, 2)}\n`);

const archive = join(OUT, `${NAME}.tar.gz`);
execFileSync('tar', ['-czf', archive, '-C', OUT, NAME]);
const { size } = statSync(archive);
console.log(`${archive}: ${(size / 1e6).toFixed(1)} MB. Copy it to the box, unpack it, run ./bench.sh`);
if (size > MOST_BYTES) throw new Error(`The bundle is larger than ${MOST_BYTES / 1e6} MB.`);
