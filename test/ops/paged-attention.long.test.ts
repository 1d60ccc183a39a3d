/** Paged attention of texts that GPUs make in chunks. */
import { afterEach, expect, it } from 'vitest';
import { expectClose, expectSameBits } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { attendPaged, LONG } from './paged-rows.ts';

const gpu = await testGpu();
afterEach(() => gpu.choices.clear());

it('is right, and a row has the same bits whether others of its step need chunks', async () => {
  gpu.choices.rows = 'workgroup';
  const shape = { heads: 2, kvHeads: 1, headDim: 8 };
  const { y, expected, kernels } = await attendPaged(gpu, shape, [0, 1, 2], LONG);
  expect(kernels).toEqual(['attention_paged', 'attention_paged_fold']);
  expectClose(y, expected, 1e-5, 'attended');
  for (const r of [0, 1, 2]) {
    const alone = await attendPaged(gpu, shape, [r], LONG);
    expect(alone.kernels).toHaveLength(r === 0 ? 1 : 2);
    expectSameBits(alone.y, y.slice(r * 16, (r + 1) * 16), `row ${r}`);
  }
});
