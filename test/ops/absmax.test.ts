/** The largest absolute value of a tensor, in f32 or as inputs of products are stored in f16: what finds the first overflow. */
import { expect, it } from 'vitest';
import { whole } from '../../src/autograd/tensor.ts';
import { rmsNorm } from '../../src/ops/norm/rms-norm.ts';
import { recordAbsmax } from '../../src/ops/reduction/absmax.ts';
import { testGpu } from '../support/gpu.ts';
import { record } from '../support/record.ts';
import { Workbench } from '../support/workbench.ts';

/** Of the norm of rows (3, -4, 0, 0) times `w`, whose largest number is 1.6 w. */
async function largestOf(w: number, half: boolean): Promise<number> {
  const bench = new Workbench(await testGpu());
  const x = bench.floats('x', { shape: [3, 4], data: [3, -4, 0, 0, 3, -4, 0, 0, 3, -4, 0, 0] });
  const scales = bench.floats('w', { shape: [4], data: [w, w, w, w] });
  const norm = bench.floats('norm', { shape: [4], data: [0, 0, 1, 0] });
  const found = bench.floats('found', { shape: [1], data: [0] });
  const [values] = await record(bench.gpu, (recorder) => {
    const { outputs } = rmsNorm.launch(recorder, [x, scales], { eps: 0, half });
    recordAbsmax(recorder, outputs[0], whole(found), norm);
    return [found];
  });
  bench.free();
  return values[0];
}

it.each([false, true])('finds the largest number, stored in f16: %s', async (half) => {
  expect(await largestOf(10, half)).toBeCloseTo(16, 1);
});

it('an input of products in f16 holds 4e6, and no more', async () => {
  expect(await largestOf(2.5e6, true)).toBeCloseTo(4e6, -4);
  expect(await largestOf(1e7, true)).toBe(Number.POSITIVE_INFINITY);
  expect(await largestOf(1e7, false)).toBeCloseTo(1.6e7, -3);
});
