/** Runs of LoRA on frozen weights of few bits. */
import { expect } from 'vitest';
import { type LoadedModel, loadModel } from '../../src/models/loading/load.ts';
import { testGpu } from '../support/gpu.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';

export const LORA = { r: 4, alpha: 8, targetModules: ['q_proj', 'v_proj', 'down_proj'] };

/** Rows of 64 weights, the length of a group that shares a scale. */
export const SIZE = { vocabulary: 97, hidden: 64, inner: 128, layers: 2, heads: 4, kvHeads: 2 };

export const loadQuantized = async (path: string, quantize?: 'i8' | 'nf4'): Promise<LoadedModel> =>
  loadModel(await testGpu(), path, { train: LORA, dtype: 'f32', quantize, positions: 64 });

/** Twelve steps of DPO, whose reference is the same weights without the adapter. */
export async function expectToLearn(policy: LoadedModel): Promise<void> {
  const trainer = await openTrainer(await testGpu(), {
    objective: { name: 'dpo' },
    policy,
    train: randomPairs(8, 3, 3, 12),
    mode: 'in_step',
    training: { learning_rate: 1e-2, max_steps: 12, per_device_train_batch_size: 8 },
  });
  const metrics = await runSteps(trainer, 12);
  expect(metrics[0].loss).toBeCloseTo(Math.LN2, 5);
  expect(metrics[0]['rewards/chosen']).toBe(0);
  expect(metrics[11].loss).toBeLessThan(0.9 * metrics[0].loss);
  trainer.free();
  policy.free();
}
