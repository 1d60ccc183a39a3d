/** Paged attention and its cache against the same in f64, with shared prefixes, windows, caps and both forms of the kernel. */
import { afterEach, describe, expect, it } from 'vitest';
import { cacheRowOf, recordCacheWrite } from '../../src/ops/attention/paged-attention.ts';
import { pagedSubgroups } from '../../src/ops/attention/paged-matrices.ts';
import { expectClose, expectSameBits } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { limitsOf, NVIDIA, NVIDIA_LIMITS } from '../support/matrix-devices.ts';
import { record } from '../support/record.ts';
import { gridValues, Workbench } from '../support/workbench.ts';
import { attendPaged } from './paged-rows.ts';

const gpu = await testGpu();
afterEach(() => gpu.choices.clear());

describe('paged attention', () => {
  it.each(['invocation', 'workgroup'] as const)(
    'is that of the tokens that the tables list (%s)',
    async (form) => {
      gpu.choices.rows = form;
      for (const shape of [
        { heads: 4, kvHeads: 2, headDim: 8 },
        { heads: 4, kvHeads: 2, headDim: 8, window: 10, softcap: 5, scale: 0.2 },
      ]) {
        const { y, expected } = await attendPaged(gpu, shape, [0, 1, 2]);
        expectClose(y, expected, 1e-5, 'attended');
      }
    },
  );

  it('gives a row the same bits alone and in a batch', async () => {
    const shape = { heads: 4, kvHeads: 2, headDim: 8 };
    const { y } = await attendPaged(gpu, shape, [0, 1, 2]);
    for (const r of [0, 1, 2]) {
      expectSameBits((await attendPaged(gpu, shape, [r])).y, y.slice(r * 32, (r + 1) * 32), `row ${r}`);
    }
  });
});

describe('on tensor cores', () => {
  it.each([
    [64, 4],
    [96, 4],
    [128, 4],
    [256, 2],
    [72, undefined],
  ])('heads of %i: %s subgroups on NVIDIA', (headDim, subgroups) => {
    expect(pagedSubgroups(NVIDIA, headDim, NVIDIA_LIMITS)).toBe(subgroups);
  });

  it('a tile that does not fit is not taken', () => {
    expect(pagedSubgroups(NVIDIA, 128, limitsOf(32, 1024))).toBe(2);
    expect(pagedSubgroups(NVIDIA, 256, limitsOf(32, 1024))).toBeUndefined();
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
