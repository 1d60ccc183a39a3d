/** The data of a run: sources with weights, rows drawn and held out by the seed, rows left out and listed. */
import { describe, expect, it } from 'vitest';
import { loadRunData, type RunDataOptions } from '../../src/data/dataset.ts';
import type { Example } from '../../src/data/examples.ts';
import type { DroppedRow } from '../../src/data/prepare.ts';
import { sampled } from '../../src/data/sources/sample.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import { jsonLines } from './memory-files.ts';
import { STORIES, tokenizerFrom } from './tokenizers.ts';

const tokenizer = await tokenizerFrom(STORIES);
const WORDS = ['cat', 'dog', 'girl', 'boy', 'sun', 'bird', 'tree', 'ball', 'car', 'fish'];
/** `n` pairs, two of each prompt. */
const pairs = (n: number, first = 'Once') =>
  Array.from({ length: n }, (_, i) => ({
    prompt: `${first} ${WORDS[Math.floor(i / 2) % 10]} ${Math.floor(i / 20)}`,
    chosen: ` ${i} a`,
    rejected: ` ${i} b`,
  }));

async function load(contents: Record<string, unknown[]>, options: Partial<RunDataOptions>) {
  const files = new MemoryFiles();
  for (const [path, rows] of Object.entries(contents)) files.add(path, jsonLines(rows));
  const notes: string[] = [];
  const dropped: DroppedRow[] = [];
  const data = await loadRunData({
    files,
    tokenizer,
    train: 'a.jsonl',
    seed: 1,
    note: (line) => notes.push(line),
    onDropped: (row) => dropped.push(row),
    ...options,
  });
  return { ...data, notes, dropped };
}

const lines = (examples: readonly Example[], file: string) =>
  examples.filter((example) => example.file === file).map(({ line }) => line);

describe('several sources', () => {
  const contents = { 'a.jsonl': pairs(40), 'b.jsonl': pairs(40, 'Then'), 'c.jsonl': pairs(3, 'Now') };

  it('follow each other, each row as often as its weight says', async () => {
    const train = ['a.jsonl', { path: 'b.jsonl', weight: 0.25 }, { path: 'c.jsonl', weight: 2 }];
    const { train: examples, notes } = await load(contents, { train });
    expect(lines(examples, 'a.jsonl')).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    expect(new Set(lines(examples, 'b.jsonl')).size).toBe(10);
    expect(lines(examples, 'c.jsonl')).toEqual([1, 2, 3, 1, 2, 3]);
    expect(examples.map(({ index }) => index)).toEqual(examples.map((_, i) => i));
    expect(notes[0]).toMatch(/^a\.jsonl: 40 rows read as trl, .*40 kept/);
  });

  it('take a fraction that the seed draws', async () => {
    const train = { path: 'a.jsonl', weight: 0.5 };
    const drawn = async (seed: number) => lines((await load(contents, { train, seed })).train, 'a.jsonl');
    expect(await drawn(1)).toEqual(await drawn(1));
    expect(await drawn(1)).not.toEqual(await drawn(2));
    expect(await drawn(1)).toHaveLength(20);
  });

  it('may be a pattern', async () => {
    const { train } = await load(contents, { train: '[ab].jsonl' });
    expect(train).toHaveLength(80);
  });
});

describe('max_rows', () => {
  const contents = { 'a.jsonl': pairs(100) };

  it('takes the first rows, or with shuffle as many of all', async () => {
    const first = await load(contents, { limit: 10 });
    expect(lines(first.train, 'a.jsonl')).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const drawn = lines((await load(contents, { limit: 10, shuffle: true })).train, 'a.jsonl');
    expect(drawn).toHaveLength(10);
    expect(drawn).toEqual([...drawn].sort((a, b) => a - b));
    expect(Math.max(...drawn)).toBeGreaterThan(50);
  });

  it('draws every row as often as any other', async () => {
    const counts = new Array<number>(20).fill(0);
    const rows = async function* () {
      yield* counts.keys();
    };
    for (let seed = 0; seed < 2000; seed++) for (const i of await sampled(rows(), 5, seed)) counts[i]++;
    // 500 expected, standard deviation 19.4.
    for (const count of counts) expect(Math.abs(count - 500)).toBeLessThan(100);
  });
});

describe('rows held out', () => {
  const prompts = (examples: readonly Example[]) => new Set(examples.map((e) => e.promptIds.join()));

  it('are the share that is asked for, whole prompts, the same for the same seed', async () => {
    const contents = { 'a.jsonl': pairs(100) };
    const options = { evalFraction: 0.2 };
    const { train, eval: held, notes } = await load(contents, options);
    expect(held).toHaveLength(20);
    expect(train).toHaveLength(80);
    expect([...prompts(train)].filter((prompt) => prompts(held).has(prompt))).toEqual([]);
    expect(notes.at(-1)).toBe('20 rows are held out for evaluation.');
    expect((await load(contents, options)).eval).toEqual(held);
    expect((await load(contents, { ...options, seed: 2 })).eval).not.toEqual(held);
  });

  it('hardly change when rows are added', async () => {
    const before = await load({ 'a.jsonl': pairs(200) }, { evalFraction: 0.1 });
    const after = await load({ 'a.jsonl': pairs(240) }, { evalFraction: 0.1 });
    const kept = [...prompts(before.eval)].filter((prompt) => prompts(after.eval).has(prompt));
    expect(kept.length).toBeGreaterThan(7);
  });

  it('leave something to train on', async () => {
    await expect(load({ 'a.jsonl': pairs(2) }, { evalFraction: 0.5 })).rejects.toThrow(
      /data\.eval_fraction: holding out 0\.5 of 2 rows with 1 different prompts leaves none/,
    );
  });
});

describe('rows that are left out', () => {
  const bad = [{ prompt: 'x', chosen: 'y' }, ...pairs(3), { prompt: 'x', chosen: ' z', rejected: ' z' }];

  it('end the reading, or with skip are counted and listed', async () => {
    await expect(load({ 'a.jsonl': bad }, {})).rejects.toThrow(/a\.jsonl:1: field 'rejected' is missing/);
    const { train, dropped, notes } = await load({ 'a.jsonl': bad }, { onBadRow: 'skip' });
    expect(train).toHaveLength(3);
    expect(dropped).toEqual([
      { file: 'a.jsonl', line: 1, reason: expect.stringContaining("field 'rejected' is missing") },
      { file: 'a.jsonl', line: 5, reason: 'identical' },
    ]);
    expect(notes[0]).toMatch(
      /5 rows read as trl \(4\), 1 with identical answers, 0 too long, 1 skipped as wrong; 3 kept/,
    );
  });
});
