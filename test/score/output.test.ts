/** A file of lines and the notes from which it is continued. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { RunError } from '../../src/errors.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import type { FileSystem } from '../../src/runtime/runtime.ts';
import { LineOutput } from '../../src/score/output.ts';

const open = (files: FileSystem, how: { resume?: boolean; force?: boolean } = {}) =>
  LineOutput.open<number>(files, 'out.jsonl', {
    state: z.number().int().min(0),
    madeFrom: 'm',
    resume: how.resume ?? false,
    force: how.force ?? false,
  });

/** A file of which one line was written before its writer stopped. */
async function begun(): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  const output = await open(files);
  await output?.write('1\n', 1);
  await output?.stop(1);
  return files;
}

describe('notes', () => {
  it.each([
    [{ bytes: -1 }, /bytes/],
    [{ bytes: 'two' }, /bytes/],
    [{ state: -3 }, /state/],
    [{ state: undefined }, /state/],
    [{ made_from: 7 }, /made_from/],
    [{ bytes: 2000 }, /was to be continued at byte 2000, but has only 2/],
  ])('with %j are refused, and nothing changes', async (damage, says) => {
    const files = await begun();
    const notes = JSON.parse(await files.readText('out.jsonl.tmp.json'));
    files.add('out.jsonl.tmp.json', JSON.stringify({ ...notes, ...damage }));
    await expect(open(files, { resume: true })).rejects.toThrow(says);
    expect(await files.readText('out.jsonl.tmp')).toBe('1\n');
    const anew = await open(files, { force: true });
    await anew?.write('2\n', 1);
    await anew?.finish();
    expect(await files.readText('out.jsonl')).toBe('2\n');
  });
});

describe('a disk that is full from the beginning', () => {
  it('is left without a half-written file that nothing could go on with', async () => {
    const files = new MemoryFiles();
    const create = files.create.bind(files);
    files.create = async (path) => {
      const sink = await create(path);
      return { ...sink, write: () => Promise.reject(new RunError(`${path}: the disk is full.`)) };
    };
    const output = await open(files);
    await output?.write('1\n', 1);
    await expect(output?.stop(1)).rejects.toThrow('the disk is full');
    expect(await files.exists('out.jsonl.tmp')).toBe(false);
  });
});
