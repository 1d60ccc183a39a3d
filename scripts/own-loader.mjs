/**
 * Whether prefgrad is to be started through the C library that came with lavapipe of Mesa 26 (matrices.mjs): on a machine
 * on which set-up found no other adapter, as long as the machine's own drivers stay what they were then.
 *
 * Node that runs already cannot change its C library, so the process becomes another program, under its own number: signals,
 * exit codes and pipes stay what they are.
 */
import * as fs from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export const MATRICES_FOLDER = join(
  process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
  'prefgrad',
  'lavapipe-matrices',
);
/** What the machine's drivers were when set-up chose this adapter. */
const CHOSEN = join(MATRICES_FOLDER, 'chosen');

/** Environment variable with the number of the process that was started through the C library; its children see another's. */
const STARTED = 'PREFGRAD_LOADER_PID';

/** The node that finds the adapter; undefined where it is not installed. */
export function matricesNode() {
  const node = join(MATRICES_FOLDER, 'node');
  return fs.existsSync(node) ? node : undefined;
}

/** From now on prefgrad starts through `matricesNode()`, until the machine has other drivers. */
export function chooseMatrices() {
  fs.writeFileSync(CHOSEN, systemDrivers());
}

/** The node to start prefgrad with in place of the one that runs; undefined where that one is right. */
export function chosenNode() {
  if (process.env[STARTED] === String(process.pid)) return undefined;
  const node = matricesNode();
  if (node === undefined || !fs.existsSync(CHOSEN)) return undefined;
  return fs.readFileSync(CHOSEN, 'utf8') === systemDrivers() ? node : undefined;
}

/**
 * Becomes `node` with what this process was started with. Returns only where that fails.
 * @returns {Promise<string>} why
 */
export async function become(node) {
  try {
    const { default: koffi } = await import('koffi');
    const libc = koffi.load(null);
    const fcntl = libc.func('int fcntl(int fd, int command, ...)');
    const execve = libc.func(
      'int execve(const char *path, const char **arguments, const char **environment)',
    );
    const started = { PREFGRAD_NODE: process.execPath, [STARTED]: String(process.pid) };
    const environment = { ...process.env, ...started };
    // Node marks its standard streams as to be closed; F_SETFD is 2.
    for (const fd of [0, 1, 2]) fcntl(fd, 2, 'int', 0);
    execve(
      node,
      [node, ...process.execArgv, ...process.argv.slice(1), null],
      [...Object.entries(environment).map(([name, value]) => `${name}=${value}`), null],
    );
    return `${node} cannot be started (errno ${koffi.errno()})`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Where the Vulkan loader lies and looks for drivers. */
const DRIVER_FOLDERS = [
  '/etc/vulkan/icd.d',
  '/usr/local/share/vulkan/icd.d',
  '/usr/share/vulkan/icd.d',
  join(homedir(), '.local/share/vulkan/icd.d'),
];
const LOADERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/lib', '/usr/local/lib'].map(
  (folder) => `${folder}/libvulkan.so.1`,
);

/** The machine's own loader and drivers with their times, one a line, and what the environment chooses among them. */
function systemDrivers() {
  const files = DRIVER_FOLDERS.flatMap((folder) => namesIn(folder).map((name) => join(folder, name)));
  const lines = [...LOADERS, ...files].flatMap((path) => {
    const found = fs.statSync(path, { throwIfNoEntry: false });
    return found === undefined ? [] : [`${path} ${found.mtimeMs}`];
  });
  const { VK_DRIVER_FILES, VK_ICD_FILENAMES } = process.env;
  return [...lines, VK_DRIVER_FILES ?? '', VK_ICD_FILENAMES ?? ''].join('\n');
}

function namesIn(folder) {
  try {
    return fs.readdirSync(folder).sort();
  } catch {
    return [];
  }
}
