import { expect, it } from 'vitest';
import { CONFIG, DEVICES, eagerElementwise, STEP, stepCosts } from '../../bench/roofline.ts';
import { openGpu } from '../support/gpu.ts';

it('the roofline counts the FLOPs of the reference that its formula gives', async () => {
  const gpu = await openGpu({ profile: 'gpu' });
  const costs = stepCosts(gpu).filter(({ part }) => part === 'reference');
  gpu.close();
  const {
    hidden_size: hidden,
    intermediate_size: inner,
    num_hidden_layers: layers,
    vocab_size: vocabulary,
  } = CONFIG;
  const kv = CONFIG.num_key_value_heads * CONFIG.head_dim;
  const block = 2 * hidden * hidden + 2 * kv * hidden + 3 * inner * hidden;
  const products = 2 * STEP.tokens * layers * block + 2 * STEP.responses * vocabulary * hidden;
  const sum = (kind: string) =>
    costs.filter((c) => c.kind === kind).reduce((total, { flops }) => total + flops, 0);
  expect(sum('products')).toBe(products);
  // Two products for each of the seen pairs of a query and a key, in every head.
  const seen = (STEP.tokens * (STEP.document + 1)) / 2;
  expect(sum('attention')).toBe(2 * 2 * seen * hidden * layers);
});

it("counts eager PyTorch's elementwise kernels: 540,672 bytes for each token of a block, five passes", () => {
  const h200 = DEVICES.find(({ name }) => name === 'H200');
  if (h200 === undefined) throw new RangeError('There is no H200.');
  const bytes = 540_672 * STEP.tokens * STEP.microBatches * CONFIG.num_hidden_layers * 5;
  expect(eagerElementwise(h200, 'possible')).toBeCloseTo(bytes / (0.8 * 4.8e12), 6);
});
