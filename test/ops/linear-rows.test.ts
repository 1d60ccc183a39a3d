/** Products of a decoding step: those of the plain kernel, with the same bits whatever the number of rows. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { expectClose, expectSameBits } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { COLUMNS, expectWeightsOf, FORMS, products, run } from './few-rows.ts';

const gpu = await testGpu();
afterEach(() => gpu.choices.clear());

describe.each(FORMS)('few rows, by %ss', (by) => {
  const kernel = by === 'subgroup' ? 'linear_rows_subgroup' : 'linear_rows';

  beforeEach(() => {
    gpu.choices.rows = by;
  });

  it.each(Object.keys(products))(
    '%s is that of the other kernels, whatever the number of rows',
    async (product) => {
      const many = await run(product, 19, true, 'f32');
      const linear = many.kernels.filter((name) => name.startsWith('linear_'));
      expect(new Set(linear)).toEqual(new Set([kernel]));
      expectClose(many.y, (await run(product, 19, false, 'f32')).y, 1e-5, product);
      for (const rows of [1, 8]) {
        const few = await run(product, rows, true, 'f32');
        expectSameBits(few.y, many.y.slice(0, rows * COLUMNS), `${product} of ${rows} rows`);
      }
    },
  );

  // Both by every form: linear-rows.long.test.ts.
  const dtype = by === 'workgroup' ? 'bf16' : 'f16';
  it(`take ${dtype} weights`, () => expectWeightsOf(dtype));
});

describe.skipIf(!gpu.profile.sharesLoads)('norms of few rows', () => {
  const normsIn = async (product: string) => {
    const { kernels } = await run(product, 3, true, 'f32');
    return kernels.filter((kernel) => kernel === 'rms_norm_forward').length;
  };

  it('are part of small products', async () => {
    expect(await normsIn('a product of normed rows')).toBe(0);
    expect(await normsIn('a gated product of normed rows')).toBe(0);
  });

  it('are recorded once where a kernel reads them from memory', async () => {
    expect(await normsIn('a product of normed rows with LoRA')).toBe(1);
  });
});
