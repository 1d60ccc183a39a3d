/** Looks for adapters, and carries out what adapter-plan.mjs decided. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { planAdapter, planWithoutRoot } from './adapter-plan.mjs';
import { installMatrices, matricesIcd, removeMatrices } from './matrices.mjs';
import { chooseMatrices, chosenNode, matricesNode } from './own-loader.mjs';
import { fetchedSwiftShader, installSwiftShader } from './swiftshader.mjs';

export const LAVAPIPE_ICD = '/usr/share/vulkan/icd.d/lvp_icd.json';
export const MPIRUN = '/usr/bin/mpirun';
export const SWIFTSHADER_ICD = '/usr/lib/chromium/vk_swiftshader_icd.json';

const PROBE = fileURLToPath(new URL('probe-adapter.mjs', import.meta.url));
const APT_SOURCES = '/etc/apt/sources.list.d';

/** Lock messages of apt-get update, which unlike install has no option to wait. */
const LISTS_LOCKED = /Could not get lock|Unable to lock directory/;

/**
 * @param {string} [icd] the Vulkan driver to use; without it the loader's own choice
 * @param {Record<string, string>} [more] environment that the driver needs
 * @param {string} [node] what starts the probe
 * @returns {{ found: boolean, name?: string, reason?: string }}
 */
export function probeAdapter(icd, more = {}, node = process.execPath) {
  if (icd !== undefined && !fs.existsSync(icd)) return { found: false, reason: `${icd} is not there` };
  const env =
    icd === undefined
      ? process.env
      : { ...process.env, ...more, VK_ICD_FILENAMES: icd, VK_DRIVER_FILES: icd };
  const result = spawnSync(node, [PROBE], { env, encoding: 'utf8', timeout: 120_000 });
  try {
    return JSON.parse(result.stdout.trim().split('\n').at(-1));
  } catch {
    const how =
      result.error?.message ?? (result.signal ? `killed by ${result.signal}` : `exit code ${result.status}`);
    return {
      found: false,
      reason: `the probe ended without an answer (${how}) ${result.stderr ?? ''}`.trim(),
    };
  }
}

/**
 * Installs system packages, or says what the user has to do.
 * @param {readonly ('lavapipe' | 'chromium' | 'mpi')[]} wanted
 * @returns {string[]} what the user must do instead; empty when everything was installed
 */
export function installAdapter(wanted, say) {
  const plan = planAdapter(thisMachine(), wanted);
  if (plan.kind === 'manual') return plan.lines;
  const what = wanted
    .map((w) => ({ lavapipe: 'Mesa lavapipe, a CPU adapter', chromium: 'Chromium', mpi: 'Open MPI' })[w])
    .join(' and ');
  if (plan.kind === 'ask')
    return [`Missing: ${what}. Installing it needs root; run:`, '', `  ${plan.command}`, ''];
  say(`Installing ${what}, with apt-get.`);
  for (const { path, text } of plan.files) {
    say(`Adding ${path}, derived from this machine's own apt sources.`);
    fs.writeFileSync(path, text);
  }
  try {
    for (const command of plan.commands) runApt(command);
  } catch (error) {
    for (const { path } of plan.files) fs.rmSync(path, { force: true });
    throw error;
  }
  return [];
}

/** What without root is in the user's cache and works; undefined where nothing is. */
export function fetchedAdapter() {
  const matrices = chosenNode() === undefined ? undefined : probeMatrices();
  if (matrices?.found) return matrices;
  const swiftShader = fetchedSwiftShader();
  const probe = swiftShader && probeAdapter(swiftShader.icd, swiftShader.env);
  return probe?.found ? probe : undefined;
}

/**
 * Goes down the rungs that need no root. Says which it leaves out, and why.
 * @param {(text: string) => void} say
 * @returns {{ found: boolean, name?: string, isSlow?: boolean }}
 */
export function fetchAdapter(say) {
  const take = { 'lavapipe-matrices': takeMatrices, swiftshader: takeSwiftShader };
  for (const rung of withoutRoot()) {
    const { found, name, reason } =
      rung.obstacle === undefined ? take[rung.name](rung, say) : { found: false, reason: rung.obstacle };
    if (found) return { found, name, isSlow: rung.name === 'swiftshader' };
    say(`No adapter ${rung.name}: ${reason}.`);
  }
  return { found: false };
}

/**
 * Fetches lavapipe of Mesa 26 beside whatever the machine has, for those who name it.
 * @param {(text: string) => void} say
 * @returns {string | undefined} why it cannot be had
 */
export function fetchMatrices(say) {
  const [{ obstacle, sources }] = withoutRoot();
  return obstacle ?? installMatrices(sources, say);
}

/** Installed is not yet working: what WebGPU does not open goes again. */
function takeMatrices({ sources }, say) {
  const obstacle = installMatrices(sources, say);
  if (obstacle !== undefined) return { found: false, reason: obstacle };
  const probe = probeMatrices();
  if (probe.found) chooseMatrices();
  else removeMatrices();
  return probe;
}

function takeSwiftShader(_, say) {
  const obstacle = installSwiftShader(say);
  if (obstacle !== undefined) return { found: false, reason: obstacle };
  const { icd, env } = fetchedSwiftShader();
  return probeAdapter(icd, env);
}

function probeMatrices() {
  return probeAdapter(matricesIcd(), {}, matricesNode());
}

function withoutRoot() {
  const { platform, arch } = process;
  const folders = (process.env.PATH ?? '').split(delimiter);
  const has = (name) => folders.some((folder) => fs.existsSync(join(folder, name)));
  const programs = ['apt-get', 'dpkg-deb'].filter(has);
  return planWithoutRoot({ platform, arch, programs, aptSources: aptSourceFiles() });
}

/** @throws Error with the end of what apt said; an update may fail for sources that have nothing to do with us */
function runApt([program, ...args]) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const deadline = Date.now() + 120_000;
  for (;;) {
    const result = spawnSync(program, args, {
      env,
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    if (result.error) throw new Error(`${program} cannot be run: ${result.error.message}`);
    if (result.status === 0) return;
    if (LISTS_LOCKED.test(result.stderr) && Date.now() < deadline) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000);
      continue;
    }
    const end = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-15).join('\n');
    if (args[0] !== 'update') throw new Error(`${[program, ...args].join(' ')} failed:\n${end}`);
    process.stderr.write(`${end}\n`);
    return;
  }
}

function thisMachine() {
  return {
    platform: process.platform,
    osRelease: readText('/etc/os-release'),
    uid: process.getuid?.() ?? -1,
    aptSources: aptSourceFiles(),
    command: setupCommand(),
  };
}

/** 'node scripts/setup.mjs', with full paths where sudo would not find them. */
function setupCommand() {
  const isSystemNode = ['/usr/bin/node', '/usr/local/bin/node'].includes(process.execPath);
  const script = fileURLToPath(new URL('setup.mjs', import.meta.url));
  const near = relative(process.cwd(), script);
  return `${isSystemNode ? 'node' : process.execPath} ${near.startsWith('..') ? script : near}`;
}

/** The files from which this machine's apt takes its sources. */
function aptSourceFiles() {
  let names = [];
  try {
    names = fs.readdirSync(APT_SOURCES).filter((name) => /\.(list|sources)$/.test(name));
  } catch {
    // A machine without that folder has sources.list, or none at all.
  }
  return ['/etc/apt/sources.list', ...names.sort().map((name) => `${APT_SOURCES}/${name}`)]
    .map((path) => ({ path, text: readText(path) }))
    .filter(({ text }) => text !== '');
}

function readText(path) {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
