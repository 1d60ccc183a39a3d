#!/usr/bin/env node
/**
 * Makes a fresh clone ready to run: npm packages, then a WebGPU adapter. Plain JavaScript without packages, since it
 * runs before there are any. Says nothing when nothing is to do.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installDependencies } from './dependencies.mjs';
import {
  fetchAdapter,
  fetchedAdapter,
  fetchMatrices,
  installAdapter,
  LAVAPIPE_ICD,
  MPIRUN,
  probeAdapter,
  SWIFTSHADER_ICD,
} from './install-adapter.mjs';
import { withLock } from './setup-lock.mjs';

const USAGE = `Usage: node scripts/setup.mjs [options]

Installs the npm packages of package-lock.json where they are missing, then looks for a WebGPU adapter. Where there is
none, installs Mesa lavapipe (an adapter that runs on the CPU) when it may. Without root it fetches one into the user cache:
lavapipe of Mesa 26 where apt knows a Debian mirror, else SwiftShader, a slower one, from npm; "prefgrad cache clean" removes
it. Where nothing works it prints the one command to run.

  --install-adapter  only install lavapipe, even where a GPU is found, and no npm packages: the part that needs root
  --with-lavapipe    install lavapipe even where a GPU is found
  --with-browser     also install Chromium: its tests, and SwiftShader, a second CPU adapter
  --with-matrices    also fetch lavapipe of Mesa 26 into the user cache: a CPU adapter with tensor-core instructions
  --with-mpi         also install Open MPI: training on several GPUs, and its tests
  --with-deno        also check that Deno (an npm package here) runs
  --runtime-only     leave out the npm packages that only tests and checks need
  -h, --help         this text
`;

const OPTIONS = [
  'install-adapter',
  'with-lavapipe',
  'with-browser',
  'with-deno',
  'with-matrices',
  'with-mpi',
  'runtime-only',
];
const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What the user has to fix; printed without a stack. */
export class SetupError extends Error {}

/**
 * @param {Record<string, boolean>} options names as on the command line
 * @throws SetupError
 */
export async function setup(options = {}) {
  checkNodeVersion();
  try {
    await withLock(join(cacheFolder(), `setup-${process.getuid?.() ?? 0}.lock`), () => run(options), say);
  } catch (error) {
    throw error instanceof SetupError ? error : new SetupError(error.message);
  }
}

/** Belongs to the owner of the clone, also when `sudo` made it: training caches files there later. */
function cacheFolder() {
  const folder = join(ROOT, '.cache');
  if (fs.mkdirSync(folder, { recursive: true }) !== undefined && process.getuid?.() === 0) {
    const { uid, gid } = fs.statSync(ROOT);
    fs.chownSync(folder, uid, gid);
  }
  return folder;
}

function run(options) {
  if (!options['install-adapter'])
    installDependencies({ root: ROOT, runtimeOnly: options['runtime-only'], say });
  if (options['with-deno']) checkDeno();
  if (options['with-matrices']) addMatrices();
  const needsLavapipe = options['install-adapter'] || options['with-lavapipe'];
  const wanted = [];
  const isThere =
    probeAdapter(needsLavapipe ? LAVAPIPE_ICD : undefined).found ||
    (!needsLavapipe && fetchedAdapter() !== undefined);
  if (!isThere) wanted.push('lavapipe');
  if (options['with-browser'] && !fs.existsSync(SWIFTSHADER_ICD)) wanted.push('chromium');
  if (options['with-mpi'] && !fs.existsSync(MPIRUN)) wanted.push('mpi');
  if (wanted.length === 0) return;
  const todo = installAdapter(wanted, say);
  if (todo.length > 0) {
    if (!wanted.includes('lavapipe') || needsLavapipe) throw new SetupError(todo.join('\n'));
    useFetched(todo);
    return;
  }
  confirm(wanted, options['with-browser']);
}

/** A plus for tests: where it cannot be had, everything else runs without it. */
function addMatrices() {
  const obstacle = fetchMatrices(say);
  if (obstacle !== undefined) say(`No adapter lavapipe-matrices: ${obstacle}. Tests run without it.`);
}

/** @throws SetupError with what to do instead, where no adapter can be had without root */
function useFetched(todo) {
  const { found, name, isSlow } = fetchAdapter(say);
  if (!found) throw new SetupError(todo.join('\n'));
  say(`Adapter: ${name}, in the user cache; "npx prefgrad cache clean" removes it.`);
  if (!isSlow) return;
  // A system package is faster, so it stays the advice.
  say(
    ['It is several times slower than lavapipe, which root can install:', ...todo.filter(Boolean)].join('\n'),
  );
}

/** Installed is not yet working: an adapter counts once WebGPU has opened it. */
function confirm(wanted, withBrowser) {
  if (!fs.existsSync(join(ROOT, 'node_modules', 'webgpu'))) {
    say('Installed. Now run the command that you came from.');
    return;
  }
  if (wanted.includes('lavapipe')) report(probeAdapter(LAVAPIPE_ICD), 'lavapipe');
  if (withBrowser) report(probeAdapter(SWIFTSHADER_ICD), 'SwiftShader');
}

function report(probe, what) {
  if (!probe.found) {
    throw new SetupError(
      `${what} was installed, but WebGPU does not take it: ${probe.reason}. It needs Mesa 24 or later.`,
    );
  }
  say(`Adapter: ${probe.name}`);
}

function checkNodeVersion() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new SetupError(`Node ${process.versions.node} is too old: prefgrad needs Node 20.19 or later.`);
  }
}

function checkDeno() {
  const script = join(ROOT, 'node_modules', 'deno', 'bin.cjs');
  const result = spawnSync(process.execPath, [script, '--version'], { encoding: 'utf8' });
  if (result.status !== 0)
    throw new SetupError(`Deno does not run: ${result.stderr || result.error?.message}`);
}

function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

/** @throws SetupError for an option that does not exist */
function parseOptions(args) {
  const options = {};
  for (const arg of args) {
    const name = arg.replace(/^--/, '');
    if (!arg.startsWith('--') || !OPTIONS.includes(name))
      throw new SetupError(`Unknown option ${arg}.\n\n${USAGE}`);
    options[name] = true;
  }
  return options;
}

/** Runs as a command; quickstart.mjs and test.mjs import `setup` instead. */
async function main(args) {
  if (args.includes('--help') || args.includes('-h')) return process.stdout.write(USAGE);
  await setup(parseOptions(args));
}

if (fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2)).catch((error) => {
    process.stderr.write(`${error instanceof SetupError ? error.message : error.stack}\n`);
    process.exitCode = 2;
  });
}
