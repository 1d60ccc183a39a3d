/** prefgrad starts through the C library of the adapter that set-up chose, in the same process, while the machine is what it was. */
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-loader-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const cache = join(folder, 'prefgrad/lavapipe-matrices');
const env = { ...process.env, XDG_CACHE_HOME: folder };

/** Chooses the adapter as set-up does once it has been seen to work. */
function choose(more: NodeJS.ProcessEnv = {}): void {
  const script = `import { chooseMatrices } from './scripts/own-loader.mjs'; chooseMatrices();`;
  spawnSync(process.execPath, ['--input-type=module', '-e', script], { env: { ...env, ...more } });
}

/** A stand-in for the script that starts node: it says how it was started. */
function standIn(): void {
  mkdirSync(cache, { recursive: true });
  writeFileSync(join(cache, 'node'), '#!/bin/sh\necho "$$ $PREFGRAD_NODE" "$@"\necho said >&2\nexit 7\n');
  chmodSync(join(cache, 'node'), 0o755);
}

beforeEach(() => rmSync(join(folder, 'prefgrad'), { recursive: true, force: true }));

describe.skipIf(process.platform !== 'linux')('bin/prefgrad.js', () => {
  it('becomes the other node, with its number, arguments, streams and exit code', async () => {
    standIn();
    choose();
    const child = spawn(process.execPath, ['bin/prefgrad.js', 'train', 'a b'], { env });
    let [out, err] = ['', ''];
    child.stdout.on('data', (text) => {
      out += text;
    });
    child.stderr.on('data', (text) => {
      err += text;
    });
    const code = await new Promise((done) => child.once('close', done));
    const script = realpathSync('bin/prefgrad.js');
    expect([code, out, err]).toEqual([7, `${child.pid} ${process.execPath} ${script} train a b\n`, 'said\n']);
  });

  it.each([
    ['set-up chose another adapter', () => standIn()],
    [
      'the machine has other drivers than then',
      () => {
        standIn();
        choose({ VK_DRIVER_FILES: '/a/driver/that/was.json' });
      },
    ],
    ['nothing was fetched', () => {}],
  ])('runs as it was started where %s', (_, make) => {
    make();
    const script = `import { chosenNode } from './scripts/own-loader.mjs'; console.log(chosenNode());`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      env,
      encoding: 'utf8',
    });
    expect(stdout).toBe('undefined\n');
  });

  it('says so where the other node cannot be started, and goes on', () => {
    standIn();
    choose();
    chmodSync(join(cache, 'node'), 0o644);
    const args = ['bin/prefgrad.js', '--version'];
    const { stdout, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(stderr).toMatch(/^prefgrad: .*\/node cannot be started \(errno 13\)\n$/);
  });
});
