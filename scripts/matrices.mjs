/**
 * A CPU adapter with tensor-core instructions: lavapipe of Mesa 26 has VK_KHR_cooperative_matrix. It lies in the user's cache,
 * with a C library of its own, and never touches the system: no root, no container.
 *
 * A program uses it when it is started by `matricesNode()` in place of node: a script that starts node through that C
 * library's loader. The loader is then what the system calls the running program, so exec-path.cjs puts the script into
 * `process.execPath`, by which programs start their children.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseAptSources, suiteSource } from './apt-sources.mjs';

/** Debian's release with a Mesa that is new enough, and the suite that has it. */
const RELEASE = 'trixie';
const SUITE = `${RELEASE}-backports`;
const PACKAGES = ['mesa-vulkan-drivers', 'libvulkan1', 'libstdc++6', 'libgcc-s1'];

const FOLDER = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'prefgrad', 'lavapipe-matrices');
const LIBRARIES = join(FOLDER, 'root', 'usr', 'lib', 'x86_64-linux-gnu');

/** The node that finds this adapter; undefined where it is not installed. */
export function matricesNode() {
  const node = join(FOLDER, 'node');
  return fs.existsSync(node) ? node : undefined;
}

/**
 * Fetches and unpacks the adapter, unless it is there.
 * @param {{path: string, text: string}[]} aptSources the files that this machine's apt reads
 * @param {(text: string) => void} say
 * @returns {string | undefined} why it cannot be had here; undefined once it is there
 */
export function installMatrices(aptSources, say) {
  if (matricesNode() !== undefined) return undefined;
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return `it is packaged for Linux on x86-64, and this is ${process.platform} on ${process.arch}`;
  const parsed = parseAptSources(aptSources);
  const sources = [RELEASE, SUITE].map((suite) => suiteSource(parsed, suite));
  if (sources.includes(null)) return 'the apt sources of this machine name no Debian mirror to take it from';
  say(
    'Fetching lavapipe of Mesa 26 (a CPU adapter with subgroup matrices, about 65 MB) into the user cache.',
  );
  fs.rmSync(FOLDER, { recursive: true, force: true });
  try {
    download(sources.join(''));
    unpack();
    writeWrapper();
  } catch (error) {
    fs.rmSync(FOLDER, { recursive: true, force: true });
    return error.message;
  }
  return undefined;
}

/** apt in folders of its own, with nothing installed, so that it fetches the C library and everything else. */
function download(sources) {
  for (const name of ['etc/apt/preferences.d', 'state/lists/partial', 'cache/archives/partial'])
    fs.mkdirSync(join(FOLDER, name), { recursive: true });
  fs.writeFileSync(join(FOLDER, 'etc/apt/sources.list'), sources);
  fs.writeFileSync(join(FOLDER, 'status'), '');
  const options = Object.entries({
    'Dir::Etc': join(FOLDER, 'etc/apt'),
    'Dir::State': join(FOLDER, 'state'),
    'Dir::State::status': join(FOLDER, 'status'),
    'Dir::Cache': join(FOLDER, 'cache'),
    'Debug::NoLocking': '1',
    'APT::Sandbox::User': '',
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  run('apt-get', [...options, '-q', 'update']);
  const install = ['-y', '-q', '--no-install-recommends', '-t', SUITE, '--download-only', 'install'];
  run('apt-get', [...options, ...install, ...PACKAGES]);
}

function unpack() {
  const archives = join(FOLDER, 'cache', 'archives');
  const packages = fs.readdirSync(archives).filter((name) => name.endsWith('.deb'));
  // The folders that Debian keeps as links (lib -> usr/lib) must be there before packages bring files for them.
  fs.mkdirSync(LIBRARIES, { recursive: true });
  for (const name of ['lib', 'lib64', 'bin', 'sbin']) {
    fs.mkdirSync(join(FOLDER, 'root', 'usr', name), { recursive: true });
    fs.symlinkSync(`usr/${name}`, join(FOLDER, 'root', name));
  }
  for (const name of packages) run('dpkg-deb', ['-x', join(archives, name), join(FOLDER, 'root')]);
  for (const name of ['cache', 'state', 'etc', 'status'])
    fs.rmSync(join(FOLDER, name), { recursive: true, force: true });
}

function writeWrapper() {
  const description = join(FOLDER, 'root', 'usr', 'share', 'vulkan', 'icd.d');
  const file = fs.readdirSync(description).find((name) => name.startsWith('lvp_icd'));
  if (file === undefined) throw new Error('the packages bring no lavapipe');
  const icd = JSON.parse(fs.readFileSync(join(description, file), 'utf8'));
  const library = icd.ICD.library_path.split('/').at(-1);
  fs.writeFileSync(
    join(FOLDER, 'icd.json'),
    `${JSON.stringify({ ...icd, ICD: { ...icd.ICD, library_path: join(LIBRARIES, library) } })}\n`,
  );
  fs.writeFileSync(join(FOLDER, 'exec-path.cjs'), `process.execPath = '${join(FOLDER, 'node')}';\n`);
  const wrapper = [
    '#!/bin/sh',
    '# Node with lavapipe of Mesa 26. Written by prefgrad: npm run setup -- --with-matrices',
    `export PREFGRAD_MATRICES_ICD='${join(FOLDER, 'icd.json')}' PREFGRAD_DEVICE="\${PREFGRAD_DEVICE:-lavapipe-matrices}"`,
    `exec '${join(LIBRARIES, 'ld-linux-x86-64.so.2')}' --library-path '${LIBRARIES}' '${process.execPath}' --require '${join(FOLDER, 'exec-path.cjs')}' "$@"`,
  ];
  fs.writeFileSync(join(FOLDER, 'node'), `${wrapper.join('\n')}\n`, { mode: 0o755 });
}

/** @throws Error with the end of what the program said */
function run(program, args) {
  const result = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (result.error) throw new Error(`${program} cannot be run: ${result.error.message}`);
  if (result.status === 0) return;
  const end = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-5).join('\n');
  throw new Error(`${program} failed: ${end}`);
}
