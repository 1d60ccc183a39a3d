import { beforeAll, describe, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { segmentSum } from '../../src/ops/reduction/segment-sum.ts';
import { checkFixture, checkOp } from '../support/check-op.ts';
import { fixturesOf } from '../support/fixtures.ts';
import { testGpu } from '../support/gpu.ts';
import { gridValues, type Workbench } from '../support/workbench.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

describe("segment_sum is PyTorch's index_add", () => {
  it.each(fixturesOf('segment_sum').map((f) => [f.name, f] as const))('%s', async (_name, fixture) => {
    const ids = fixture.inputs.segments.data;
    const count = Number(fixture.attrs.count);
    // The fixture names each row's segment, in order; ours are runs of rows.
    const bounds = Array.from({ length: count }, (_, p) => [p, p + 1]).map(([low, high]) =>
      [low, high].map((id) => ids.filter((own) => own < id).length),
    );
    await checkFixture(gpu, fixture, ['values'], ['sums'], {
      op: segmentSum,
      attributes: (bench) => ({
        segments: bench.indices('segments', [count, 2], bounds.flat()),
        weights: bench.floats('weights', fixture.inputs.weights),
      }),
    });
  });
});

describe('segment_sum against finite differences', () => {
  it('rows outside every segment get no gradient; empty segments sum to 0', async () => {
    const segments = [2, 5, 5, 5, 9, 10, 0, 0];
    const attributes = (bench: Workbench) => ({ segments: bench.indices('segments', [4, 2], segments) });
    await checkOp(gpu, { op: segmentSum, inputs: [gridValues(1, [12])], attributes });
  });
});
