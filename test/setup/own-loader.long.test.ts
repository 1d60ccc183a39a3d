/** The adapter that set-up fetched without root computes where the machine has no other. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { matricesNode } from '../../scripts/own-loader.mjs';
import { hasAdapter } from '../support/adapters.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-loader-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A machine without a driver, and a cache of its own. */
const bare = { VK_DRIVER_FILES: '/none', VK_ICD_FILENAMES: '/none', PREFGRAD_DEVICE: '' };
const env = { ...process.env, ...bare, XDG_CACHE_HOME: folder };
const node = (...args: string[]) => spawnSync(process.execPath, args, { env, encoding: 'utf8' });

it.skipIf(!hasAdapter('lavapipe-matrices'))(
  'prefgrad finds it by itself, and a program of one’s own is told how',
  () => {
    const cache = join(folder, 'prefgrad/lavapipe-matrices');
    mkdirSync(cache, { recursive: true });
    symlinkSync(matricesNode() ?? '', join(cache, 'node'));
    const chosen = `import { chooseMatrices } from './scripts/own-loader.mjs'; chooseMatrices();`;
    expect(node('--input-type=module', '-e', chosen).status).toBe(0);
    const { status, stdout, stderr } = node('bin/prefgrad.js', 'doctor', '--json');
    expect(status, stderr).toBe(0);
    const { devices, fetchedDriver } = JSON.parse(stdout);
    expect(devices[0]).toMatchObject({ isChosen: true, description: expect.stringMatching(/Mesa 2[6-9]/) });
    expect(fetchedDriver).toContain('lavapipe-matrices/icd.json');

    const own = `import { nodeRuntime } from './src/runtime/node.ts';
      await nodeRuntime().requestAdapter().catch((e) => console.log(e.message));`;
    expect(node('--import', 'tsx', '--input-type=module', '-e', own).stdout).toContain(
      `start the program with ${join(cache, 'node')} in place of node`,
    );

    expect(node('bin/prefgrad.js', 'cache', 'clean').stdout).toBe(`Removed ${cache}\n`);
    expect(node('bin/prefgrad.js', 'doctor').status).toBe(2);
  },
);
