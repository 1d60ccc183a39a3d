import { beforeAll, describe, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { linear } from '../../src/ops/linear/linear.ts';
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

// On a CPU adapter each new shape costs the compilation of five kernels: shapes are few, and chosen for their edges.
describe("linear is PyTorch's x wᵀ", () => {
  it.each(fixturesOf('matmul').map((f) => [f.name, f] as const))('%s', async (_name, fixture) => {
    await checkFixture(gpu, fixture, ['x', 'w'], ['y'], { op: linear, attributes });
  });

  // The fixture's weights are exact in 16 bits, so that all dtypes must give the same numbers.
  const ragged = fixturesOf('matmul').filter((f) => ['31x33x17', '33x172x64'].includes(f.name));
  for (const fixture of ragged) {
    it.each(['f16', 'bf16'] as const)(`${fixture.name}, weights in %s`, async (w) => {
      const c = { op: linear, attributes, dtypes: { w } };
      await checkFixture(gpu, fixture, ['x', 'w'], ['y'], c);
    });
  }
});

describe('linear against finite differences', () => {
  it('a ragged shape', async () => {
    await checkOp(gpu, { op: linear, inputs: [gridValues(1, [9, 6]), gridValues(2, [17, 6])], attributes });
  });

  const inputs = [gridValues(1, [13, 8]), gridValues(2, [5, 8]), gridValues(3, [13, 5])];

  it('with a residual and a scale, which the residual escapes', async () => {
    await checkOp(gpu, { op: linear, inputs, attributes: () => ({ scale: 2.5 }) });
  });

  it.each([
    ['plain', [9, 17, 6]],
    ['subgroup', [18, 20, 8]],
    ['tiled', [18, 20, 8]],
  ] as const)(
    'with a bias, which is the same for every row, by the %s kernel',
    async (variant, [t, n, k]) => {
      gpu.choices.linear = variant;
      await checkOp(gpu, {
        op: linear,
        inputs: [gridValues(1, [t, k]), gridValues(2, [n, k]), gridValues(3, [n])],
        attributes,
      });
      gpu.choices.clear();
    },
  );

  it('of a bias over more rows than its gradient has runs', async () => {
    const inputs = [gridValues(1, [71, 4]), gridValues(2, [4, 4]), gridValues(3, [4])];
    await checkOp(gpu, { op: linear, inputs, attributes, differentiate: [2] });
  });

  it('of a frozen weight: only x and the residual get a gradient', async () => {
    await checkOp(gpu, { op: linear, inputs, attributes: () => ({ scale: 2.5 }), differentiate: [0, 2] });
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
    await checkOp(gpu, { op: linear, inputs, attributes, differentiate: [], tolerance: 1e-6 });
  });
});
