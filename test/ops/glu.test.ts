import { beforeAll, describe, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { glu } from '../../src/ops/elementwise/glu.ts';
import { checkFixture, checkOp } from '../support/check-op.ts';
import { fixturesOf } from '../support/fixtures.ts';
import { testGpu } from '../support/gpu.ts';
import { gridValues } from '../support/workbench.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

const attributes = () => ({});

describe('glu with silu', () => {
  it.each(fixturesOf('swiglu').map((f) => [f.name, f] as const))(
    "is PyTorch's silu(gate) up, gates of 0, 1e-8 and +-100 among them: %s",
    async (_name, fixture) => {
      await checkFixture(gpu, fixture, ['gate', 'up'], ['y'], { op: glu, attributes });
    },
  );

  it('against finite differences, a ragged shape', async () => {
    await checkOp(gpu, { op: glu, inputs: [gridValues(7, [3, 7], 2), gridValues(8, [3, 7])], attributes });
  });

  it('saturates without overflow: gates of +-1e4', async () => {
    const gate = { shape: [1, 4], data: [1e4, -1e4, 300, -300] };
    const up = { shape: [1, 4], data: [1, 1, -2, -2] };
    await checkOp(gpu, { op: glu, inputs: [gate, up], attributes });
  });
});

describe('glu with GELU, by its tanh', () => {
  const attributes = () => ({ activation: 'gelu_tanh' as const });

  it.each([
    ['a ragged shape', [3, 7]],
    ['rows of four', [3, 8]],
  ] as const)('against finite differences, %s', async (_name, shape) => {
    await checkOp(gpu, { op: glu, inputs: [gridValues(7, shape, 2), gridValues(8, shape)], attributes });
  });

  it('saturates without overflow: gates of +-1e6', async () => {
    const gate = { shape: [1, 4], data: [1e6, -1e6, 300, -300] };
    const up = { shape: [1, 4], data: [1, 1, -2, -2] };
    await checkOp(gpu, { op: glu, inputs: [gate, up], attributes });
  });
});
