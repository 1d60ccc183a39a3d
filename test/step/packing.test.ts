/** Log-probs are those of a row, whatever it is packed with: on other ranks, and in other micro-batches, company differs. */
import { afterEach, beforeAll, describe, it } from 'vitest';
import type { KernelChoices } from '../../src/gpu/choices.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { type LoadedModel, loadModel } from '../../src/models/loading/load.ts';
import { testGpu } from '../support/gpu.ts';
import { expectSameAlone } from '../support/packing.ts';

let gpu: Gpu;
let model: LoadedModel;
beforeAll(async () => {
  gpu = await testGpu();
  const options = { train: 'none', dtype: 'f32', positions: 256 } as const;
  model = await loadModel(gpu, 'examples/stories260K', options);
});
afterEach(() => gpu.choices.clear());

type Choices = Partial<Pick<KernelChoices, 'attention' | 'linear' | 'rows'>>;

// Those of tensor cores are among the conformance cases (matrix-cases.ts).
describe.each<readonly [kernels: string, Choices]>([
  ['of this device', {}],
  ['of GPUs', { attention: 'tiled', linear: 'tiled', rows: 'workgroup' }],
])('kernels %s give a row the same bits alone and behind others', (_kernels, choices) => {
  it.each(['dpo', 'epsilon-dpo'])('in the forward pass of %s', async (name) => {
    Object.assign(gpu.choices, choices);
    await expectSameAlone(gpu, model, name);
  });
});
