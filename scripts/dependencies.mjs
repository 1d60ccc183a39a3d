/** Keeps node_modules what package-lock.json says. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';

/**
 * Runs `npm ci` when something that the lock file names is missing or of another version. Our packages carry their
 * binaries in the package or in a platform package, so npm versions that run no install scripts are fine.
 * @param {{ root: string, runtimeOnly: boolean, say: (text: string) => void }} options
 * @throws Error when npm fails
 */
export function installDependencies({ root, runtimeOnly, say }) {
  const lock = readJson(join(root, 'package-lock.json'));
  const installed = readJson(join(root, 'node_modules', '.package-lock.json'));
  if (lock === undefined)
    throw new Error(`${root} has no package-lock.json: run this in a clone of the repository.`);
  const { platform, arch } = process;
  if (missingPackages(lock, installed, { runtimeOnly, platform, arch }).length === 0) return;
  say('Installing the npm packages of package-lock.json.');
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--no-update-notifier'];
  const result = runNpm([...args, runtimeOnly ? '--omit=dev' : '--include=dev'], root);
  if (result.status !== 0) {
    throw new Error(
      `npm ci failed${result.error ? ` (${result.error.message})` : ''}: see its message above.`,
    );
  }
}

/**
 * Paths in the lock file that are not installed in the locked version. Optional packages count when they are for this
 * platform: they hold the binaries. Which C library a package wants is not looked at: npm knows better.
 */
export function missingPackages(lock, installed, { runtimeOnly, platform, arch }) {
  const present = installed?.packages ?? {};
  return Object.entries(lock.packages)
    .filter(
      ([path, entry]) => path !== '' && !entry.link && !(runtimeOnly && (entry.dev || entry.devOptional)),
    )
    .filter(([, entry]) => (entry.optional || entry.devOptional ? isForHere(entry, platform, arch) : true))
    .filter(([path, entry]) => present[path]?.version !== entry.version)
    .map(([path]) => path);
}

function isForHere(entry, platform, arch) {
  return (
    entry.libc === undefined && entry.os?.includes(platform) === true && entry.cpu?.includes(arch) === true
  );
}

/** Under `npm run` the npm that runs us, else the one in the PATH. */
function runNpm(args, cwd) {
  const script = process.env.npm_execpath;
  if (script?.endsWith('.js'))
    return spawnSync(process.execPath, [script, ...args], { cwd, stdio: 'inherit' });
  return spawnSync('npm', args, { cwd, stdio: 'inherit', shell: process.platform === 'win32' });
}

function readJson(path) {
  try {
    return JSON.parse(fs.readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}
