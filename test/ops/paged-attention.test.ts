/** Paged attention and its cache against the same in f64, with shared prefixes, windows, caps and both forms of the kernel. */
import { afterEach, describe, expect, it } from 'vitest';
import type { AttentionShape } from '../../src/ops/attention/attention.ts';
import {
  BLOCK_TOKENS,
  cacheRowOf,
  pagedAttention,
  recordCacheWrite,
} from '../../src/ops/attention/paged-attention.ts';
import { expectClose, expectSameBits } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { record } from '../support/record.ts';
import { gridValues, Workbench } from '../support/workbench.ts';

const gpu = await testGpu();
afterEach(() => gpu.choices.clear());

/** Rows of three sequences: a short one, one over several blocks, one behind a shared prefix that ends inside of a block. */
const PLACES = [
  { position: 0, shared: 0, table: [3] },
  { position: 40, shared: 0, table: [5, 1, 7] },
  { position: 37, shared: 21, table: [2, 6, 4, 8] },
].map((row) => {
  return { ...row, gap: Math.ceil(row.shared / BLOCK_TOKENS) * BLOCK_TOKENS - row.shared };
});
const TABLE = 4;
const CACHE_ROWS = 9 * BLOCK_TOKENS;

async function attend(shape: AttentionShape, rows: readonly number[]) {
  const bench = new Workbench(gpu);
  const { heads, kvHeads, headDim } = shape;
  const all = gridValues(1, [PLACES.length, heads * headDim]);
  const q = {
    shape: [rows.length, heads * headDim],
    data: rows.flatMap((r) => Array.from(all.data).slice(r * heads * headDim, (r + 1) * heads * headDim)),
  };
  const [keys, values] = [2, 3].map((seed) => gridValues(seed, [CACHE_ROWS, kvHeads * headDim]));
  const places = rows.flatMap((r) => [PLACES[r].position, PLACES[r].shared, PLACES[r].gap, 0]);
  const tables = rows.flatMap((r) => [...PLACES[r].table, 0, 0, 0, 0].slice(0, TABLE));
  const [query, k, v] = [q, keys, values].map((t, i) => bench.floats(`input ${i}`, t));
  const layout = {
    places: bench.indices('places', [rows.length, 4], places),
    tables: bench.indices('tables', [rows.length, TABLE], tables),
  };
  const attributes = { ...shape, layout };
  const [y] = await record(gpu, (recorder) => [
    ...pagedAttention.launch(recorder, [query, k, v], attributes).outputs,
  ]);
  bench.free();
  const onHost = [q, keys, values].map(({ shape: s, data }) => {
    return { shape: s, data: Float64Array.from(data) };
  });
  const [expected] = pagedAttention.reference(onHost, attributes, bench.index);
  return { y, expected: expected.data };
}

describe('paged attention', () => {
  it.each(['invocation', 'workgroup'] as const)(
    'is that of the tokens that the tables list (%s)',
    async (form) => {
      gpu.choices.rows = form;
      for (const shape of [
        { heads: 4, kvHeads: 2, headDim: 8 },
        { heads: 4, kvHeads: 2, headDim: 8, window: 10, softcap: 5, scale: 0.2 },
      ]) {
        const { y, expected } = await attend(shape, [0, 1, 2]);
        expectClose(y, expected, 1e-5, 'attended');
      }
    },
  );

  it('gives a row the same bits alone and in a batch', async () => {
    const shape = { heads: 4, kvHeads: 2, headDim: 8 };
    const { y } = await attend(shape, [0, 1, 2]);
    for (const r of [0, 1, 2]) {
      expectSameBits((await attend(shape, [r])).y, y.slice(r * 32, (r + 1) * 32), `row ${r}`);
    }
  });
});

describe('the cache', () => {
  it('takes new tokens at their places and leaves the others', async () => {
    const bench = new Workbench(gpu);
    const [k, v] = [4, 5].map((seed) => gridValues(seed, [3, 8]));
    const [before] = [gridValues(6, [32, 8])];
    const rows = [17, 0, 31];
    const tensors = [k, v, before, before].map((t, i) => bench.floats(`tensor ${i}`, t));
    const cache = { keys: tensors[2], values: tensors[3] };
    const index = bench.indices('rows', [3], rows);
    const [keys, values] = await record(gpu, (recorder) => {
      recordCacheWrite(recorder, tensors[0], tensors[1], index, cache);
      return [cache.keys, cache.values];
    });
    bench.free();
    const expected = [k, v].map(({ data }) => {
      const all = Float32Array.from(before.data);
      rows.forEach((row, t) => {
        all.set(Array.from(data).slice(8 * t, 8 * (t + 1)), 8 * row);
      });
      return all;
    });
    expectSameBits(keys, expected[0], 'keys');
    expectSameBits(values, expected[1], 'values');
  });

  it('holds own tokens in a block of their own behind the shared prefix', () => {
    const table = [9, 3, 5];
    const [shared, gap] = [20, 12];
    expect([0, 19, 20, 35].map((j) => cacheRowOf(table, j, shared, gap))).toEqual([144, 51, 80, 95]);
  });
});
