import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fetchedDriverFile } from '../../src/runtime/vulkan-drivers.ts';
import { cli } from '../support/run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-cache-'));
const before = process.env.XDG_CACHE_HOME;
afterAll(() => {
  if (before === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = before;
  rmSync(folder, { recursive: true });
});

describe('prefgrad cache', () => {
  it('shows and removes the adapter that set-up fetched, and no answers of endpoints', async () => {
    process.env.XDG_CACHE_HOME = folder;
    const [adapter, answers] = ['swiftshader', 'llm'].map((name) => join(folder, 'prefgrad', name));
    for (const path of [adapter, answers]) mkdirSync(path, { recursive: true });
    expect(fetchedDriverFile()).toBeUndefined();
    writeFileSync(join(adapter, 'vk_swiftshader_icd.json'), '{}');
    expect(fetchedDriverFile()).toBe(join(adapter, 'vk_swiftshader_icd.json'));
    expect((await cli('cache')).stdout).toBe(`${adapter}\n`);
    expect((await cli('cache', 'clean')).stdout).toBe(`Removed ${adapter}\n`);
    expect([existsSync(adapter), existsSync(answers)]).toEqual([false, true]);
    expect((await cli('cache')).stdout).toBe('Nothing was fetched.\n');
  });
});
