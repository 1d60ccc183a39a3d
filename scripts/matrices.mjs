/**
 * A CPU adapter for a machine with apt but without root: lavapipe of Mesa 26, which also has tensor-core instructions
 * (VK_KHR_cooperative_matrix). It lies in the user's cache, with a C library of its own, and never touches the system.
 *
 * A program uses it when it is started by `matricesNode()` in place of node: a script that starts node through that C
 * library's loader. The loader is then what the system calls the running program, so exec-path.cjs puts the script into
 * `process.execPath`, by which programs start their children. own-loader.mjs says when `prefgrad` is started so.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { MATRICES_SUITE } from './adapter-plan.mjs';
import { MATRICES_FOLDER as FOLDER, matricesNode } from './own-loader.mjs';

const PACKAGES = ['mesa-vulkan-drivers', 'libvulkan1', 'libstdc++6', 'libgcc-s1'];
const librariesIn = (folder) => join(folder, 'root', 'usr', 'lib', 'x86_64-linux-gnu');
const LIBRARIES = librariesIn(FOLDER);

/**
 * Fetches and unpacks the adapter, unless it is there.
 * @param {string} sources what apt shall take it from, as `planWithoutRoot` says
 * @param {(text: string) => void} say
 * @returns {string | undefined} why it cannot be had here; undefined once it is there
 */
export function installMatrices(sources, say) {
  try {
    if (matricesNode() === undefined) {
      say(`Fetching lavapipe of Mesa 26, a CPU adapter, with apt (about 65 MB) into ${FOLDER}.`);
      fetchPackages(sources);
    }
    writeWrapper();
  } catch (error) {
    removeMatrices();
    return error.message;
  }
  return undefined;
}

/** Beside its final place, so that another set-up of this user is not in the way. */
function fetchPackages(sources) {
  const work = `${FOLDER}.${process.pid}.tmp`;
  try {
    fs.rmSync(work, { recursive: true, force: true });
    download(work, sources);
    unpack(work);
    fs.rmSync(FOLDER, { recursive: true, force: true });
    fs.renameSync(work, FOLDER);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

/** The description file of its driver. */
export function matricesIcd() {
  return join(FOLDER, 'icd.json');
}

export function removeMatrices() {
  fs.rmSync(FOLDER, { recursive: true, force: true });
}

/** apt in folders of its own, with nothing installed, so that it fetches the C library and everything else. */
function download(folder, sources) {
  for (const name of ['etc/apt/preferences.d', 'state/lists/partial', 'cache/archives/partial'])
    fs.mkdirSync(join(folder, name), { recursive: true });
  fs.writeFileSync(join(folder, 'etc/apt/sources.list'), sources);
  fs.writeFileSync(join(folder, 'status'), '');
  const options = Object.entries({
    'Dir::Etc': join(folder, 'etc/apt'),
    // The keys of sources that name none.
    'Dir::Etc::Trusted': '/etc/apt/trusted.gpg',
    'Dir::Etc::TrustedParts': '/etc/apt/trusted.gpg.d',
    'Dir::State': join(folder, 'state'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    'Debug::NoLocking': '1',
    'APT::Sandbox::User': '',
    'Acquire::Retries': '1',
    'Acquire::http::Timeout': '20',
    'Acquire::https::Timeout': '20',
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  run('apt-get', [...options, '-q', 'update']);
  const install = ['-y', '-q', '--no-install-recommends', '-t', MATRICES_SUITE, '--download-only', 'install'];
  run('apt-get', [...options, ...install, ...PACKAGES]);
}

function unpack(folder) {
  const archives = join(folder, 'cache', 'archives');
  const packages = fs.readdirSync(archives).filter((name) => name.endsWith('.deb'));
  // The folders that Debian keeps as links (lib -> usr/lib) must be there before packages bring files for them.
  fs.mkdirSync(librariesIn(folder), { recursive: true });
  for (const name of ['lib', 'lib64', 'bin', 'sbin']) {
    fs.mkdirSync(join(folder, 'root', 'usr', name), { recursive: true });
    fs.symlinkSync(`usr/${name}`, join(folder, 'root', name));
  }
  for (const name of packages) run('dpkg-deb', ['-x', join(archives, name), join(folder, 'root')]);
  for (const name of ['cache', 'state', 'etc', 'status'])
    fs.rmSync(join(folder, name), { recursive: true, force: true });
  // The drivers of GPUs come in the same package: 120 MB that nothing here opens.
  for (const name of fs.readdirSync(librariesIn(folder)))
    if (/^libvulkan_(?!lvp)/.test(name)) fs.rmSync(join(librariesIn(folder), name));
}

function writeWrapper() {
  const description = join(FOLDER, 'root', 'usr', 'share', 'vulkan', 'icd.d');
  const file = fs.readdirSync(description).find((name) => name.startsWith('lvp_icd'));
  if (file === undefined) throw new Error('the packages bring no lavapipe');
  const icd = JSON.parse(fs.readFileSync(join(description, file), 'utf8'));
  const library = icd.ICD.library_path.split('/').at(-1);
  fs.writeFileSync(
    matricesIcd(),
    `${JSON.stringify({ ...icd, ICD: { ...icd.ICD, library_path: join(LIBRARIES, library) } })}\n`,
  );
  const node = join(FOLDER, 'node');
  fs.writeFileSync(join(FOLDER, 'exec-path.cjs'), `process.execPath = '${node}';\n`);
  const loader = join(LIBRARIES, 'ld-linux-x86-64.so.2');
  // `exec` keeps the number of the process, by which own-loader.mjs knows what was started so.
  const wrapper = [
    '#!/bin/sh',
    '# Node with lavapipe of Mesa 26. Written by the set-up of prefgrad.',
    `export PREFGRAD_MATRICES_ICD='${matricesIcd()}' PREFGRAD_DEVICE="\${PREFGRAD_DEVICE:-lavapipe-matrices}"`,
    `export PREFGRAD_LOADER_PID=$$`,
    `exec '${loader}' --library-path '${LIBRARIES}' "\${PREFGRAD_NODE:-${process.execPath}}" --require '${join(FOLDER, 'exec-path.cjs')}' "$@"`,
  ];
  // Beside its final place first: its being there says that all else is.
  fs.writeFileSync(`${node}.tmp`, `${wrapper.join('\n')}\n`, { mode: 0o755 });
  fs.renameSync(`${node}.tmp`, node);
}

/** @throws Error with the end of what the program said */
function run(program, args) {
  const result = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 2 ** 28, timeout: 900_000 });
  if (result.error) throw new Error(`${program} cannot be run: ${result.error.message}`);
  if (result.status === 0) return;
  const end = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-5).join('\n');
  throw new Error(`${program} failed: ${end}`);
}
