import { beforeAll, describe, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { attention } from '../../src/ops/attention.ts';
import { checkFixture, checkOp } from '../support/check-op.ts';
import { fixturesOf } from '../support/fixtures.ts';
import { testGpu } from '../support/gpu.ts';
import { gridValues, type Workbench } from '../support/workbench.ts';
import { packedLayout } from './packed-layout.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

interface Shape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly window?: number;
  readonly softcap?: number;
}

const attributes = (documents: readonly (readonly number[])[], shape: Shape) => (bench: Workbench) => ({
  ...shape,
  layout: packedLayout(bench, documents),
});

describe("attention is PyTorch's, masked by the layout", () => {
  it.each(fixturesOf('attention').map((f) => [f.name, f] as const))('%s', async (_name, fixture) => {
    const {
      heads,
      kv_heads: kvHeads,
      head_dim: headDim,
      documents,
    } = fixture.attrs as {
      heads: number;
      kv_heads: number;
      head_dim: number;
      documents: number[][];
    };
    const shape = {
      heads,
      kvHeads,
      headDim,
      window: (fixture.attrs.window as number | null) ?? undefined,
      softcap: (fixture.attrs.softcap as number | null) ?? undefined,
    };
    await checkFixture(gpu, fixture, ['q', 'k', 'v'], ['y'], {
      op: attention,
      attributes: attributes(documents, shape),
      reshape: ([tokens, count, dim]) => [tokens, count * dim],
    });
  });
});

describe('attention against finite differences', () => {
  // Shapes of the fixtures where they serve: on a CPU adapter each new one costs the compilation of five kernels.
  const grouped = { heads: 4, kvHeads: 2, headDim: 8 };
  it.each([
    ['one token', [[1]], { ...grouped, window: 4 }],
    [
      'two documents, branches and a prompt of BOS alone',
      [
        [3, 2, 1],
        [1, 2, 2],
      ],
      { ...grouped, kvHeads: 1 },
    ],
    ['three heads to a key head', [[2, 3, 2]], { heads: 3, kvHeads: 1, headDim: 4 }],
    ['a window that looks into the prompt by position', [[5, 3, 4]], { ...grouped, window: 4 }],
    ['a window of one: each token sees itself alone', [[2, 2, 2]], { ...grouped, window: 1 }],
    ['a cap on the scores', [[3, 2, 3]], { ...grouped, softcap: 5 }],
    ['heads of 256', [[2, 1, 1]], { heads: 1, kvHeads: 1, headDim: 256 }],
  ])('%s', async (_name, documents, shape: Shape) => {
    const tokens = documents.flat().reduce((a, b) => a + b, 0);
    const inputs = [
      gridValues(9, [tokens, shape.heads * shape.headDim]),
      gridValues(10, [tokens, shape.kvHeads * shape.headDim]),
      gridValues(11, [tokens, shape.kvHeads * shape.headDim]),
    ];
    await checkOp(gpu, { op: attention, inputs, attributes: attributes(documents, shape), tolerance: 2e-5 });
  });

  it('scores in the thousands, where a plain softmax overflows', async () => {
    const q = gridValues(9, [4, 16]);
    const inputs = [
      { ...q, data: Float64Array.from(q.data, (x) => 1000 * x) },
      gridValues(10, [4, 16]),
      gridValues(11, [4, 16]),
    ];
    const shape = { heads: 2, kvHeads: 2, headDim: 8 };
    // Scores of 1e3 are known to 1e-4 in f32, and so are their exponentials.
    await checkOp(gpu, { op: attention, inputs, attributes: attributes([[4]], shape), tolerance: 1e-3 });
  });
});
