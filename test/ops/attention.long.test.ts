/** Attention by shapes that share no kernel with others, each of which takes a CPU adapter seconds to compile. */
import { afterEach, beforeAll, beforeEach, describe, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { attention } from '../../src/ops/attention/attention.ts';
import { checkOp } from '../support/check-op.ts';
import { fixtureNamed } from '../support/fixtures.ts';
import { testGpu } from '../support/gpu.ts';
import { gridValues } from '../support/workbench.ts';
import { attributes, checkPyTorch, expectTilesEqualPlain } from './attention-checks.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

it('heads of 256, against finite differences', async () => {
  const inputs = [9, 10, 11].map((seed) => gridValues(seed, [4, 256]));
  const shape = { heads: 1, kvHeads: 1, headDim: 256 };
  await checkOp(gpu, { op: attention, inputs, attributes: attributes([[2, 1, 1]], shape), tolerance: 2e-5 });
});

// Heads of 80 by tiles are a case of the full conformance list (test/conformance/as-gpu.long.test.ts).
describe('tiled attention', () => {
  beforeEach(() => {
    gpu.choices.attention = 'tiled';
  });
  afterEach(() => gpu.choices.clear());

  it.each(['two documents', 'window and softcap'])("is PyTorch's: %s", (name) =>
    checkPyTorch(gpu, fixtureNamed('attention', name)),
  );

  it('with a window and a cap equals plain attention, over several tiles', () =>
    expectTilesEqualPlain(gpu, { heads: 2, kvHeads: 1, headDim: 8, window: 3, softcap: 2 }));
});
