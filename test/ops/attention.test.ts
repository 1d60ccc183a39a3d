import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Gpu } from '../../src/gpu/device.ts';
import { attention } from '../../src/ops/attention/attention.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { checkOp, runOp } from '../support/check-op.ts';
import { expectSameBits } from '../support/close.ts';
import { fixturesOf } from '../support/fixtures.ts';
import { testGpu } from '../support/gpu.ts';
import { gridValues, Workbench } from '../support/workbench.ts';
import { attributes, checkPyTorch, expectTilesEqualPlain, type Shape } from './attention-checks.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

describe("attention is PyTorch's, masked by the layout", () => {
  it.each(fixturesOf('attention').map((f) => [f.name, f] as const))('%s', (_name, fixture) =>
    checkPyTorch(gpu, fixture),
  );
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

// Each shape costs a CPU adapter the compilation of four kernels with many barriers: one here, more in attention.long.test.ts.
describe('tiled attention', () => {
  beforeEach(() => {
    gpu.choices.attention = 'tiled';
  });
  afterEach(() => gpu.choices.clear());

  it('equals plain attention, over several tiles and answers that do not see each other', () =>
    expectTilesEqualPlain(gpu, { heads: 4, kvHeads: 2, headDim: 16 }));

  it('within a sliding window gives a document the same bits alone and behind others', async () => {
    const shape = { heads: 2, kvHeads: 1, headDim: 8, window: 3, softcap: 2 };
    const [first, second] = [
      [13, 7],
      [40, 70, 33],
    ];
    const tokens = 13 + 7 + 40 + 70 + 33;
    const widths = [2, 1, 1].map((heads) => heads * shape.headDim);
    const all = widths.map((width, i) => gridValues(4 + i, [tokens, width]).data);
    const run = async (documents: readonly (readonly number[])[], before: number) => {
      const bench = new Workbench(gpu);
      const inputs = all.map((data, i) => {
        const own = Array.from(data).slice(before * widths[i]);
        return { shape: [tokens - before, widths[i]], data: own };
      });
      const given = attributes(documents, shape)(bench);
      const { outputs } = await runOp(bench, attention, inputs, given, 'inner', [], undefined);
      bench.free();
      return outputs[0];
    };
    const [packed, alone] = [await run([first, second], 0), await run([second], 20)];
    expectSameBits(packed.slice(20 * widths[0]), alone, 'y');
  });
});

// Numbers are checked where tensor cores are (test/conformance/matrix-cases.ts); here, that the form for NVIDIA compiles: Dawn's
// null backend runs nothing.
describe('attention by matrices', () => {
  it.each([
    'attention_forward_matrices',
    'attention_backward_query_matrices',
    'attention_backward_key_value_matrices',
    'attention_paged_matrices',
  ])('%s compiles, with a window and a cap or without', async (kernel) => {
    const compiler = await Gpu.open(nodeRuntime(), { backend: 'null' });
    const matrices = { MATRIX_M: 16, MATRIX_N: 16, MATRIX_K: 16, SUBGROUP: 32 };
    const sizes = { HEAD4: 16, DEPTH_PARTS: 4, WIDTH_PARTS: 4, GROUP: 4, SUBGROUPS: 4 };
    const constants = { ...matrices, ...sizes };
    for (const has of [false, true]) {
      const conditions = { WINDOWED: has, SOFTCAP: has };
      expect(await compiler.kernels.module({ kernel, conditions, constants })).toBeDefined();
    }
    compiler.close();
  });
});
