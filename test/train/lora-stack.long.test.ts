/** LoRA by the kernels of GPUs, which multiply pairs of one input together: what comes of it is what comes of separate products. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { expectClose } from '../support/close.ts';
import { openGpu, testGpu } from '../support/gpu.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await openGpu({ profile: 'gpu' });
});
afterAll(() => gpu.close());

const EVERY = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];

/** Metrics of three steps of DPO. */
async function steps(on: Gpu, targetModules: readonly string[], dtype: 'f32' | 'bf16') {
  const trainer = await openTrainer(on, {
    objective: { name: 'dpo' },
    train: randomPairs(4, 2, 3, 9),
    mode: 'in_step',
    dtype,
    lora: { r: 4, alpha: 8, targetModules },
    training: { max_steps: 3, learning_rate: 1e-2 },
  });
  const metrics = await runSteps(trainer, 3);
  trainer.free();
  return metrics;
}

describe.each([
  ['q and v', ['q_proj', 'v_proj']],
  ['gate alone', ['gate_proj']],
  ['up and k', ['up_proj', 'k_proj']],
  ['every module', EVERY],
])('LoRA on %s', (_name, modules) => {
  it.each(['f32', 'bf16'] as const)('%s: policy and reference are bit-equal at step 0', async (dtype) => {
    const [first, second] = await steps(gpu, modules, dtype);
    expect([first['rewards/chosen'], first['rewards/rejected']]).toEqual([0, 0]);
    expect(second['rewards/chosen']).not.toBe(0);
  });

  it('the steps are those of separate products', async () => {
    const [together, apart] = [
      await steps(gpu, modules, 'f32'),
      await steps(await testGpu(), modules, 'f32'),
    ];
    for (const name of ['loss', 'grad_norm', 'rewards/margins'])
      expectClose(
        together.map((metrics) => metrics[name]),
        apart.map((metrics) => metrics[name]),
        1e-3,
        name,
      );
  });
});
