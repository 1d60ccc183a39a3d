/** Drawn tokens against the same draws in f64, and their frequencies against the distribution that is asked for. */
import { afterEach, describe, expect, it } from 'vitest';
import type { RowVariant } from '../../src/gpu/choices.ts';
import {
  NO_TOKEN,
  RESULT_WORDS,
  ROW_WORDS,
  readResult,
  recordNextTokens,
  recordSample,
  recordScores,
  type SampleRow,
  type SamplingOptions,
  sampleReference,
  seenWords,
  writeSampleRow,
} from '../../src/ops/sampling/sample.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { record } from '../support/record.ts';
import { gridValues, Workbench } from '../support/workbench.ts';

const PLAIN: SamplingOptions = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  seed: 7,
};

/** Draws one token for each row of `logits`; `seen` marks tokens in every slot. */
async function draw(
  vocabulary: number,
  logits: ArrayLike<number>,
  rows: readonly SampleRow[],
  { seen = [], softcap }: { seen?: readonly number[]; softcap?: number } = {},
) {
  const bench = new Workbench(await testGpu());
  const words = new Uint32Array(rows.length * ROW_WORDS);
  rows.forEach((row, r) => {
    writeSampleRow(words, r * ROW_WORDS, row);
  });
  const slots = Math.max(...rows.map(({ slot }) => slot)) + 1;
  const marks = new Uint32Array(slots * seenWords(vocabulary));
  for (let slot = 0; slot < slots; slot++)
    for (const token of seen) marks[slot * seenWords(vocabulary) + (token >> 5)] |= 1 << (token & 31);
  const z = bench.floats('logits', { shape: [rows.length, vocabulary], data: logits });
  const parameters = bench.indices('rows', [rows.length, ROW_WORDS], words);
  const state = {
    seen: bench.indices('seen', [slots, seenWords(vocabulary)], marks),
    last: bench.indices('last', [slots], new Uint32Array(slots)),
  };
  const [results, last, marked] = await record(bench.gpu, (recorder) => [
    recordSample(recorder, z, parameters, state, softcap),
    state.last,
    state.seen,
  ]);
  bench.free();
  const found = new Uint32Array(results.buffer);
  return {
    results: rows.map((row, r) => readResult(found, r, row.logprobs ?? 0)),
    last: new Uint32Array(last.buffer),
    seen: new Uint32Array(marked.buffer),
  };
}

const filters: [string, Partial<SamplingOptions>][] = [
  ['greedy', { temperature: 0 }],
  ['temperature', { temperature: 0.7 }],
  ['top-k', { topK: 5 }],
  ['top-p', { topP: 0.8 }],
  ['min-p', { minP: 0.2 }],
  ['a repetition penalty', { repetitionPenalty: 1.7 }],
  ['all of them', { temperature: 1.3, topK: 40, topP: 0.9, minP: 0.02, repetitionPenalty: 1.3 }],
];

/** How CPU adapters take rows, and how GPUs do. */
const ROWS: readonly RowVariant[] = ['invocation', 'workgroup'];
/** Until the end of the test. */
async function takeRowsBy(variant: RowVariant): Promise<void> {
  (await testGpu()).choices.rows = variant;
}
afterEach(async () => (await testGpu()).choices.clear());

describe('a drawn token', () => {
  const drawn = ROWS.flatMap((rows) => filters.map(([name, options]) => [name, rows, options] as const));
  it.each(drawn)('is the one that f64 draws with %s, by a row to each %s', async (_, by, options) => {
    await takeRowsBy(by);
    for (const vocabulary of [37, 512]) {
      const rows = Array.from({ length: 48 }, (_, r): SampleRow => {
        return { sampling: { ...PLAIN, ...options }, sample: r % 5, position: r, slot: r, logprobs: 3 };
      });
      const { data } = gridValues(3, [rows.length, vocabulary], 2);
      const seen = [1, 2, 3, 20, 36];
      const { results, last } = await draw(vocabulary, data, rows, { seen });
      rows.forEach((row, r) => {
        const logits = Array.from(data).slice(r * vocabulary, (r + 1) * vocabulary);
        const expected = sampleReference(logits, row, (v) => seen.includes(v));
        expect(results[r].token).toBe(expected.token);
        expectClose([results[r].logprob], [expected.logprob], 1e-5, 'log-prob');
      });
      expect([...last]).toEqual(results.map(({ token }) => token));
    }
  });

  it('comes as often as its probability says', async () => {
    const logits = [2, 1, 0.5, 0, -1, -3];
    const count = 4000;
    const rows = Array.from({ length: count }, (_, r): SampleRow => {
      return { sampling: { ...PLAIN, topK: 5 }, sample: 0, position: r, slot: 0, logprobs: undefined };
    });
    const { results } = await draw(
      6,
      rows.flatMap(() => logits),
      rows,
    );
    const weights = logits.map((z, v) => (v < 5 ? Math.exp(z) : 0));
    const total = weights.reduce((a, b) => a + b);
    weights.forEach((weight, v) => {
      const p = weight / total;
      const found = results.filter(({ token }) => token === v).length;
      // Five standard deviations of a binomial.
      expect(Math.abs(found - count * p)).toBeLessThanOrEqual(5 * Math.sqrt(count * p * (1 - p)));
    });
  });

  it('depends on seed, sample and position, and on nothing beside its row', async () => {
    const row = (seed: number, sample: number, position: number, slot: number): SampleRow => {
      return { sampling: { ...PLAIN, seed }, sample, position, slot, logprobs: undefined };
    };
    const { data } = gridValues(5, [1, 512], 0.1);
    const logits = Array.from({ length: 5 }, () => Array.from(data)).flat();
    const { results } = await draw(512, logits, [
      row(1, 0, 9, 0),
      row(2, 0, 9, 1),
      row(1, 1, 9, 2),
      row(1, 0, 8, 3),
      row(1, 0, 9, 4),
    ]);
    const tokens = results.map(({ token }) => token);
    expect(tokens[4]).toBe(tokens[0]);
    expect(new Set(tokens).size).toBe(4);
    const alone = await draw(512, data, [row(1, 0, 9, 0)]);
    expect(alone.results[0].token).toBe(tokens[0]);
  });

  it('is the lower id of equals, and filters keep all equals of the last one kept', async () => {
    const greedy: SampleRow = {
      sampling: { ...PLAIN, temperature: 0 },
      sample: 0,
      position: 0,
      slot: 0,
      logprobs: undefined,
    };
    expect((await draw(40, new Array(40).fill(1), [greedy])).results[0].token).toBe(0);
    const logits = Array.from({ length: 40 }, (_, v) => (v < 3 ? 5 : -5));
    const rows = Array.from({ length: 60 }, (_, position): SampleRow => {
      return { ...greedy, sampling: { ...PLAIN, topK: 1 }, position };
    });
    const { results } = await draw(
      40,
      rows.flatMap(() => logits),
      rows,
    );
    expect([...new Set(results.map(({ token }) => token))].sort()).toEqual([0, 1, 2]);
  });

  it('is marked as seen in its slot', async () => {
    const { data } = gridValues(8, [2, 64], 1);
    const row = { sampling: PLAIN, sample: 0, position: 3, logprobs: undefined };
    const { results, seen } = await draw(64, data, [
      { ...row, slot: 2 },
      { ...row, slot: 0, position: 4 },
    ]);
    const marked = [0, 1, 2].map((slot) =>
      Array.from({ length: 64 }, (_, v) => v).filter((v) => (seen[2 * slot + (v >> 5)] >>> (v & 31)) & 1),
    );
    expect(marked).toEqual([[results[1].token], [], [results[0].token]]);
  });
});

describe('log-probs', () => {
  it('are those of the capped logits, most probable first, lower ids first among equals', async () => {
    const logits = [3, 1, 3, -2, 0, 1];
    const capped = logits.map((z) => 2 * Math.tanh(z / 2));
    const lse = Math.log(capped.reduce((sum, z) => sum + Math.exp(z), 0));
    const row: SampleRow = { sampling: PLAIN, sample: 0, position: 0, slot: 0, logprobs: 5 };
    const { results } = await draw(6, logits, [row], { softcap: 2 });
    expect(results[0].top.map(({ token }) => token)).toEqual([0, 2, 1, 5, 4]);
    expectClose(
      results[0].top.map(({ logprob }) => logprob),
      [0, 2, 1, 5, 4].map((v) => capped[v] - lse),
      1e-5,
      'log-probs',
    );
  });

  it.each(ROWS)('of given tokens are those of hidden states and head, by a row to each %s', async (by) => {
    await takeRowsBy(by);
    const bench = new Workbench(await testGpu());
    // Several pieces; a workgroup to each row takes long on a CPU.
    const [rows, vocabulary, width] = [by === 'workgroup' ? 5 : 130, 52, 8];
    const hidden = gridValues(1, [rows, width], 0.5);
    const head = gridValues(2, [vocabulary, width], 0.5);
    const targets = Array.from({ length: rows }, (_, r) => (r * 31) % vocabulary);
    const inputs = [bench.floats('hidden', hidden), bench.floats('head', head)];
    const ids = bench.indices('targets', [rows], targets);
    const [results] = await record(bench.gpu, (recorder) => [
      recordScores(recorder, inputs[0], { weight: inputs[1], softcap: undefined }, ids, 2),
    ]);
    bench.free();
    for (let r = 0; r < rows; r++) {
      const z = Array.from({ length: vocabulary }, (_, v) => {
        let sum = 0;
        for (let k = 0; k < width; k++) sum += hidden.data[r * width + k] * head.data[v * width + k];
        return sum;
      });
      const lse = Math.log(z.reduce((sum, x) => sum + Math.exp(x), 0));
      const found = readResult(new Uint32Array(results.buffer), r, 2);
      expect(found.token).toBe(targets[r]);
      expectClose([found.logprob], [z[targets[r]] - lse], 1e-5, `log-prob ${r}`);
      expectClose([found.top[0].logprob], [Math.max(...z) - lse], 1e-5, `top candidate ${r}`);
    }
    expect(results.length).toBe(rows * RESULT_WORDS);
  });
});

describe('the next tokens', () => {
  it('are those that rows are told, else the last of their slots', async () => {
    const bench = new Workbench(await testGpu());
    const forced = bench.indices('forced', [3], [NO_TOKEN, 7, NO_TOKEN]);
    const slots = bench.indices('slots', [3], [2, 0, 1]);
    const last = bench.indices('last', [3], [10, 11, 12]);
    const [ids] = await record(bench.gpu, (recorder) => [recordNextTokens(recorder, forced, slots, last)]);
    bench.free();
    expect([...new Uint32Array(ids.buffer)]).toEqual([12, 7, 11]);
  });
});
