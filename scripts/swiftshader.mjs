/**
 * A CPU adapter for a machine with npm and nothing else: SwiftShader and the Vulkan loader out of the npm package
 * @sparticuz/chromium, unpacked into the user's cache. No root, and nothing of the system is touched.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

/** Tried with it; 70 MB are fetched, of which 7 MB stay. */
const PACKAGE = '@sparticuz/chromium@153.0.0';
const ARCHIVE = 'package/bin/swiftshader.tar.br';
const LIBRARIES = ['libvk_swiftshader.so', 'libvulkan.so.1'];

const FOLDER = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'prefgrad', 'swiftshader');
const ICD = join(FOLDER, 'vk_swiftshader_icd.json');

/** The driver's description file and the environment in which a program finds the loader; undefined where it was not fetched. */
export function fetchedSwiftShader() {
  if (!fs.existsSync(ICD)) return undefined;
  return { icd: ICD, env: { LD_LIBRARY_PATH: [FOLDER, process.env.LD_LIBRARY_PATH ?? ''].join(':') } };
}

/**
 * Fetches and unpacks the adapter, unless it is there.
 * @param {(text: string) => void} say
 * @returns {string | undefined} why it cannot be had here; undefined once it is there
 */
export function installSwiftShader(say) {
  if (fetchedSwiftShader() !== undefined) return undefined;
  say(`Fetching SwiftShader, a CPU adapter, from npm (${PACKAGE}, 70 MB) into ${FOLDER}.`);
  const work = fs.mkdtempSync(join(tmpdir(), 'prefgrad-swiftshader-'));
  try {
    run('npm', ['pack', PACKAGE, '--silent', '--pack-destination', work], work);
    const [tarball] = fs.readdirSync(work).filter((name) => name.endsWith('.tgz'));
    run('tar', ['-xzf', join(work, tarball), '-C', work, ARCHIVE], work);
    const tar = join(work, 'swiftshader.tar');
    fs.writeFileSync(tar, brotliDecompressSync(fs.readFileSync(join(work, ARCHIVE))));
    // Beside its final place, so that it takes its name in one step.
    const unpacked = `${FOLDER}.${process.pid}.tmp`;
    fs.rmSync(unpacked, { recursive: true, force: true });
    fs.mkdirSync(unpacked, { recursive: true });
    run('tar', ['-xf', tar, '--no-same-owner', '-C', unpacked, ...LIBRARIES], work);
    const description = { library_path: join(FOLDER, LIBRARIES[0]), api_version: '1.0.5' };
    const icd = { file_format_version: '1.0.0', ICD: description };
    fs.writeFileSync(join(unpacked, 'vk_swiftshader_icd.json'), `${JSON.stringify(icd, null, 2)}\n`);
    fs.rmSync(FOLDER, { recursive: true, force: true });
    fs.renameSync(unpacked, FOLDER);
    return undefined;
  } catch (error) {
    return `it cannot be fetched (${error.message})`;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

function run(command, args, cwd) {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 600_000 });
  if (result.status === 0) return;
  const said = `${result.stderr ?? ''}`.trim().split('\n').at(-1);
  throw new Error(`${command}: ${result.error?.message ?? (said || `exit code ${result.status}`)}`);
}
