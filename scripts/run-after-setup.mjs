/** What quickstart.mjs and test.mjs share: set up, then become another program. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { chosenNode } from './own-loader.mjs';
import { SetupError, setup } from './setup.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Sets up with `options`, runs a script of this clone with Node, and exits as it exits. */
export async function runAfterSetup(options, script, args, env = {}) {
  try {
    await setup(options);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(2);
  }
  const child = spawn(chosenNode() ?? process.execPath, [script, ...args], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, PREFGRAD_NODE: process.execPath, ...env },
  });
  // Ctrl-C reaches the whole process group: the child saves its work, and we wait for it.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
}
