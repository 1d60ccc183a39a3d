/** Reference log-probs are computed once for a model, its tokens and its adapter, and found again by later runs. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Example } from '../../src/data/examples.ts';
import { trainConfigFrom } from '../../src/train/config.ts';
import { ReferenceCache } from '../../src/train/reference-cache.ts';
import { train } from '../../src/train/train.ts';
import { testGpu } from '../support/gpu.ts';
import { readMetrics } from '../support/metrics.ts';
import { testRuntime } from '../support/runtime.ts';

const MODEL = 'examples/stories260K';
const folder = mkdtempSync(join(tmpdir(), 'prefgrad-reference-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function pair(prompt: number[], chosen: number[], rejected: number[]): Example {
  const ids = (values: number[]) => Int32Array.from(values);
  return {
    kind: 'pair',
    index: 0,
    line: 1,
    promptIds: ids(prompt),
    chosen: { ids: ids(chosen) },
    rejected: { ids: ids(rejected) },
    truncated: false,
  };
}

const examples = [pair([1, 5], [7, 8, 2], [9, 2]), pair([1], [3, 2], [4, 4, 2])];
const logps = [Float32Array.of(-1, -2, -3, -4, -5), Float32Array.of(-6, -7, -8, -9, -10)];

describe('the cache', () => {
  const open = async (model: string, dtype = 'f32') =>
    ReferenceCache.open(join(folder, 'cache'), { gpu: await testGpu(), model, dtype });

  it('gives back what was written, from a new handle', async () => {
    expect(await (await open(MODEL)).read(examples)).toBeUndefined();
    await (await open(MODEL)).write(examples, logps);
    expect(await (await open(MODEL)).read(examples)).toEqual(logps);
  });

  it('is not found by a run whose kernels round differently', async () => {
    const gpu = await testGpu();
    gpu.choices.linear = 'tiled';
    expect(await (await open(MODEL)).read(examples)).toBeUndefined();
    gpu.choices.clear();
    expect(await (await open(MODEL)).read(examples)).toEqual(logps);
  });

  it.each([
    ['a token of a prompt', [pair([1, 6], [7, 8, 2], [9, 2]), examples[1]]],
    ['a token of an answer', [pair([1, 5], [7, 8, 2], [8, 2]), examples[1]]],
    ['the border between prompt and answers', [pair([1], [5, 7, 8, 2], [9, 2]), examples[1]]],
    ['the order of the rows', [examples[1], examples[0]]],
    ['the number of rows', [examples[0]]],
  ])('is not found by data that differ in %s', async (_, others) => {
    expect(await (await open(MODEL)).read(others)).toBeUndefined();
  });

  it.each([
    [
      'has one wrong bit',
      (bytes: Buffer) => bytes.map((byte, at) => (at === bytes.length - 20 ? byte ^ 1 : byte)),
    ],
    ['has lost its second half', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ['is empty', () => Buffer.alloc(0)],
  ])('is made again, and says so, where a file %s', async (_, damage) => {
    const directory = join(folder, 'damaged');
    const notes: string[] = [];
    const note = (line: string) => void notes.push(line);
    const cache = await ReferenceCache.open(directory, {
      gpu: await testGpu(),
      model: MODEL,
      dtype: 'f32',
      note,
    });
    await cache.write(examples, logps);
    const [name] = readdirSync(directory);
    const path = join(directory, name);
    writeFileSync(path, damage(readFileSync(path)));
    expect(await cache.read(examples)).toBeUndefined();
    expect(notes).toEqual([`${path} is damaged, and is made again.`]);
    await cache.write(examples, logps);
    expect(await cache.read(examples)).toEqual(logps);
    expect(readdirSync(directory)).toEqual([name]);
  });

  it('is shared by runs that write and read it at the same time', async () => {
    const directory = join(folder, 'together');
    const key = { gpu: await testGpu(), model: MODEL, dtype: 'f32' };
    const caches = await Promise.all(Array.from({ length: 6 }, () => ReferenceCache.open(directory, key)));
    const found = await Promise.all(
      caches.map(async (cache) => {
        await cache.write(examples, logps);
        return cache.read(examples);
      }),
    );
    expect(found).toEqual(caches.map(() => logps));
    expect(readdirSync(directory)).toHaveLength(1);
  });

  it('is not found by another compute type, nor by a model with other weights', async () => {
    expect(await (await open(MODEL, 'bf16')).read(examples)).toBeUndefined();
    const other = join(folder, 'model');
    cpSync(MODEL, other, { recursive: true });
    const weights = readFileSync(join(other, 'model.safetensors'));
    weights[weights.length - 1] ^= 1;
    writeFileSync(join(other, 'model.safetensors'), weights);
    const changed = await open(other);
    expect(await changed.read(examples)).toBeUndefined();
  });
});

const rows = { train: 'examples/quickstart/train.jsonl', max_length: 96, max_rows: 4 };

describe('a second run', () => {
  const run = async (name: string, changes: Record<string, unknown> = {}) => {
    const notes: string[] = [];
    const config = trainConfigFrom({
      model: { path: MODEL },
      objective: 'dpo',
      reference: { cache_dir: join(folder, 'shared') },
      data: { ...rows, eval: 'examples/quickstart/eval.jsonl' },
      training: { learning_rate: 1e-3, max_steps: 3, per_device_train_batch_size: 2, logging_steps: 1 },
      output_dir: join(folder, name),
      ...changes,
    });
    await train(testRuntime(), config, {
      note: (line) => notes.push(line),
      start() {},
      step() {},
      evaluated() {},
      checkpoint() {},
      shouldStop: () => false,
      finish() {},
    });
    return { notes, metrics: readMetrics(join(folder, name, 'metrics.jsonl')) };
  };

  it('finds the first one’s log-probs and gives the same metrics', async () => {
    const first = await run('first');
    const second = await run('second');
    expect(first.notes.join('\n')).toContain('Computing the reference log-probs of 4 rows');
    const found = `Reference log-probs of 4 rows: found in ${join(folder, 'shared')}`;
    expect(second.notes.join('\n')).toContain(found);
    expect(second.notes.join('\n')).not.toContain('Computing');
    expect(second.metrics).toEqual(first.metrics);
    expect(readdirSync(join(folder, 'shared'))).toHaveLength(2);
  });

  it.each([
    ['full fine-tuning', {}],
    ['LoRA', { lora: { r: 4, lora_alpha: 8 }, data: rows }],
  ])(
    'of epsilon-DPO needs no reference model: hidden states from disk give the same steps, %s',
    async (name, lora) => {
      const cache = join(folder, `hidden ${name}`);
      const objective = { name: 'epsilon-dpo', settings: { beta: 0.1, epsilon: 0.1 } };
      const live = await run(`live ${name}`, { objective, reference: {}, ...lora });
      const reference = { mode: 'precompute', cache_dir: cache };
      const first = await run(`first ${name}`, { objective, reference, ...lora });
      const second = await run(`second ${name}`, { objective, reference, ...lora });
      expect(first.notes.join('\n')).toContain('Computing the reference hidden states of 4 rows');
      expect(second.notes.join('\n')).toContain('Reference hidden states of 4 rows: found in');
      expect(second.metrics).toEqual(first.metrics);
      expect(readdirSync(cache)).toHaveLength(name === 'LoRA' ? 1 : 2);
      const [expected, found] = [live.metrics, first.metrics];
      expect(found.map((line) => Object.keys(line))).toEqual(expected.map((line) => Object.keys(line)));
      // The order of sums in the forward pass depends on the shape bucket, so the last bits may differ.
      found.forEach((line, i) => {
        for (const [key, value] of Object.entries(line)) expect(value).toBeCloseTo(expected[i][key], 4);
      });
      expect(expected.some((line) => line['epsilon/increase'] > 0 || line['epsilon/decrease'] > 0)).toBe(
        true,
      );
    },
  );
});
