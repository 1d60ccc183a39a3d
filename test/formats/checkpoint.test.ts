import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { RunError } from '../../src/errors.ts';
import {
  latestCheckpoint,
  listCheckpoints,
  rotateCheckpoints,
  saveCheckpoint,
} from '../../src/formats/checkpoint.ts';
import { type OutputFile, textFile } from '../../src/formats/output-file.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import { nodeFiles } from '../../src/runtime/node-files.ts';
import type { FileSystem } from '../../src/runtime/runtime.ts';

const state = (text: string): OutputFile[] => [
  textFile('trainer_state.json', text),
  { name: 'weights', write: (sink) => sink.write(text).then(() => sink.write(text)) },
];

async function contentOf(files: FileSystem, path: string): Promise<string> {
  expect(await files.list(path)).toEqual(['trainer_state.json', 'weights']);
  const text = await files.readText(`${path}/trainer_state.json`);
  expect(await files.readText(`${path}/weights`)).toBe(text + text);
  return text;
}

async function run(): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  await files.makeDirectory('run');
  return files;
}

/** Does `work`, but stops for ever before operation number `last`, as a kill would. @returns whether it came to that */
async function stopBefore(
  last: number,
  work: (before: () => Promise<void>) => Promise<unknown>,
): Promise<boolean> {
  let operations = 0;
  let stop = (_: boolean) => {};
  const stopped = new Promise<boolean>((resolve) => (stop = resolve));
  const before = async () => {
    if (operations++ < last) return;
    stop(true);
    await new Promise(() => {});
  };
  return Promise.race([stopped, work(before).then(() => false)]);
}

describe('a checkpoint', () => {
  it('holds its files, and the newest is found by number', async () => {
    const files = await run();
    for (const step of [5, 100, 20]) await saveCheckpoint(files, 'run', step, state(`at ${step}`));
    await files.makeDirectory('run/checkpoint-200.tmp');
    await files.makeDirectory('run/checkpoint-x');
    files.add('run/checkpoint-300', 'a file');
    expect((await listCheckpoints(files, 'run')).map((c) => c.step)).toEqual([5, 20, 100]);
    const latest = await latestCheckpoint(files, 'run');
    expect(latest).toEqual({ step: 100, path: 'run/checkpoint-100' });
    expect(await contentOf(files, 'run/checkpoint-100')).toBe('at 100');
    expect(await files.exists('run/checkpoint-200.tmp')).toBe(false);
  });

  it('is not looked for where there is no directory, and nothing of the user is cleared away', async () => {
    const files = await run();
    expect(await latestCheckpoint(files, 'elsewhere')).toBeUndefined();
    for (const name of ['notes.old', 'x.tmp', 'checkpoint-best.old']) files.add(`run/${name}`, '');
    expect(await latestCheckpoint(files, 'run')).toBeUndefined();
    expect(await files.list('run')).toEqual(['checkpoint-best.old', 'notes.old', 'x.tmp']);
  });

  it('stopped before any file operation leaves the old state or the new, and nothing else', async () => {
    const seen = new Set<string>();
    for (let last = 0, stopped = true; stopped; last++) {
      const files = await run();
      await saveCheckpoint(files, 'run', 1, state('one'));
      stopped = await stopBefore(last, (before) => saveCheckpoint(files, 'run', 2, state('two'), before));
      const latest = await latestCheckpoint(files, 'run');
      const text = await contentOf(files, latest?.path ?? '');
      expect(text).toBe(latest?.step === 2 ? 'two' : 'one');
      expect(stopped && text === 'two').toBe(false);
      const all = text === 'two' ? ['checkpoint-1', 'checkpoint-2'] : ['checkpoint-1'];
      expect(await files.list('run')).toEqual(all);
      seen.add(text);
    }
    expect([...seen]).toEqual(['one', 'two']);
  });

  it('replaced and stopped before any file operation is the old one or the new one', async () => {
    const seen: string[] = [];
    for (let last = 0, stopped = true; stopped; last++) {
      const files = await run();
      await saveCheckpoint(files, 'run', 1, state('old'));
      stopped = await stopBefore(last, (before) => saveCheckpoint(files, 'run', 1, state('new'), before));
      // Whoever saves next finds the same leftovers as whoever reads next.
      if (last % 2 === 0) await saveCheckpoint(files, 'run', 3, state('next'));
      const found = await latestCheckpoint(files, 'run');
      expect(found?.step).toBe(last % 2 === 0 ? 3 : 1);
      seen.push(await contentOf(files, 'run/checkpoint-1'));
      expect(await files.list('run')).toEqual(
        last % 2 === 0 ? ['checkpoint-1', 'checkpoint-3'] : ['checkpoint-1'],
      );
    }
    expect(seen.indexOf('new')).toBe(seen.lastIndexOf('old') + 1);
    expect(seen.length).toBeGreaterThan(10);
  });

  it('that is being replaced survives two stops in a row', async () => {
    for (let first = 0; first < 14; first++) {
      for (let second = 0; second < 14; second++) {
        const files = await run();
        await saveCheckpoint(files, 'run', 1, state('old'));
        await stopBefore(first, (before) => saveCheckpoint(files, 'run', 1, state('new'), before));
        await stopBefore(second, (before) => saveCheckpoint(files, 'run', 1, state('new'), before));
        await latestCheckpoint(files, 'run');
        expect(await contentOf(files, 'run/checkpoint-1')).toMatch(/^(old|new)$/);
        expect(await files.list('run')).toEqual(['checkpoint-1']);
      }
    }
  });

  it('that cannot be written leaves what was there, and the error says why', async () => {
    const files = await run();
    await saveCheckpoint(files, 'run', 1, state('old'));
    const full: OutputFile = { name: 'big', write: () => Promise.reject(new RunError('the disk is full')) };
    await expect(saveCheckpoint(files, 'run', 1, [...state('new'), full])).rejects.toThrow(
      'the disk is full',
    );
    expect(await files.list('run')).toEqual(['checkpoint-1']);
    expect(await contentOf(files, 'run/checkpoint-1')).toBe('old');
  });

  it('survives SIGKILL on a real disk', async () => {
    const directory = await fs.mkdtemp(`${tmpdir()}/prefgrad-kill-`);
    const child = fileURLToPath(new URL('./checkpoint-child.ts', import.meta.url));
    for (const [operation, expected] of [
      [3, undefined],
      [7, undefined],
      [99, 'new'],
    ] as const) {
      const args = ['--import', 'tsx', child, directory, String(operation)];
      expect(spawnSync(process.execPath, args).signal).toBe(expected === undefined ? 'SIGKILL' : null);
      const latest = await latestCheckpoint(nodeFiles, directory);
      expect(latest && (await nodeFiles.readText(`${latest.path}/weights`))).toBe(expected);
      expect(await nodeFiles.list(directory)).toEqual(expected === undefined ? [] : ['checkpoint-10']);
    }
    await nodeFiles.remove(directory);
  });
});

describe('rotation', () => {
  const steps = async (files: FileSystem) => (await listCheckpoints(files, 'run')).map((c) => c.step);
  const four = async () => {
    const files = await run();
    for (const step of [1, 2, 10, 20]) await saveCheckpoint(files, 'run', step, state(String(step)));
    return files;
  };

  it('leaves the newest, and the one to keep', async () => {
    const files = await four();
    await rotateCheckpoints(files, 'run', 4);
    expect(await steps(files)).toEqual([1, 2, 10, 20]);
    await rotateCheckpoints(files, 'run', 2, 'run/checkpoint-1');
    expect(await steps(files)).toEqual([1, 20]);
    await rotateCheckpoints(files, 'run', 1, 'run/checkpoint-1');
    expect(await steps(files)).toEqual([1, 20]);
    await rotateCheckpoints(files, 'run', 1);
    expect(await steps(files)).toEqual([20]);
    await expect(rotateCheckpoints(files, 'run', 0)).rejects.toThrow('A limit of 0');
  });

  it('stopped at any moment leaves whole checkpoints only', async () => {
    for (let last = 0, stopped = true; stopped; last++) {
      const files = await four();
      stopped = await stopBefore(last, (before) => rotateCheckpoints(files, 'run', 1, undefined, before));
      await latestCheckpoint(files, 'run');
      for (const step of await steps(files))
        expect(await contentOf(files, `run/checkpoint-${step}`)).toBe(String(step));
      expect(await files.list('run')).toHaveLength((await steps(files)).length);
      expect((await steps(files)).at(-1)).toBe(20);
    }
  });
});
