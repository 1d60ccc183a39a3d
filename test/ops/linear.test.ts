import { beforeAll, describe, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { linear } from '../../src/ops/linear.ts';
import { checkFixture, checkOp } from '../support/check-op.ts';
import { fixturesOf } from '../support/fixtures.ts';
import { testGpu } from '../support/gpu.ts';
import { gridValues } from '../support/workbench.ts';
import { halfValues } from './half-values.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

const attributes = () => ({});

describe("linear is PyTorch's x wᵀ", () => {
  for (const fixture of fixturesOf('matmul')) {
    // The fixture's weights are exact in 16 bits, so that all dtypes must give the same numbers.
    it.each(['f32', 'f16', 'bf16'] as const)(`${fixture.name}, weights in %s`, async (w) => {
      await checkFixture(gpu, fixture, ['x', 'w'], ['y'], { op: linear, attributes, dtypes: { w } });
    });
  }
});

describe('linear against finite differences', () => {
  it.each([
    [1, 3, 1],
    [5, 8, 9],
    [4, 4, 8],
    [9, 6, 17],
    [13, 12, 5],
  ])('%i x %i x %i', async (t, k, n) => {
    await checkOp(gpu, { op: linear, inputs: [gridValues(1, [t, k]), gridValues(2, [n, k])], attributes });
  });

  it('with a residual and a scale, which the residual escapes', async () => {
    const inputs = [gridValues(1, [5, 8]), gridValues(2, [3, 8]), gridValues(3, [5, 3])];
    await checkOp(gpu, { op: linear, inputs, attributes: () => ({ scale: 2.5 }) });
  });

  it('of a frozen weight: only x and the residual get a gradient', async () => {
    const inputs = [gridValues(1, [5, 8]), gridValues(2, [3, 8]), gridValues(3, [5, 3])];
    await checkOp(gpu, { op: linear, inputs, attributes, differentiate: [0, 2] });
  });
});

describe('linear widens 16-bit weights exactly', () => {
  it.each([
    ['f16', 7],
    ['f16', 8],
    ['bf16', 7],
    ['bf16', 8],
  ] as const)('%s, rows of %i', async (dtype, k) => {
    // Each row of x picks one column of w, so that a wrong widening is not averaged away.
    const x = {
      shape: [k, k],
      data: Float64Array.from({ length: k * k }, (_, i) => (i % (k + 1) === 0 ? 1 : 0)),
    };
    const inputs = [x, halfValues(dtype, [9, k])];
    await checkOp(gpu, { op: linear, inputs, attributes, differentiate: [0], tolerance: 1e-6 });
  });
});
