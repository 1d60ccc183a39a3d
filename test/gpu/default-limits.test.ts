/** An adapter that offers only WebGPU's default limits, such as 128 MiB bindings and 8 buffers to a stage, is enough. */
import { expect, it } from 'vitest';
import { openGpu } from '../support/gpu.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';

it.each([
  ['dpo with BMC weights', { name: 'dpo', bmc: {} }],
  ['epsilon-dpo', { name: 'epsilon-dpo' }],
  ['beta-dpo', { name: 'beta-dpo' }],
])('%s trains and evaluates within the default limits', async (_, objective) => {
  const gpu = await openGpu({ defaultLimits: true });
  expect(gpu.device.limits.maxStorageBuffersPerShaderStage).toBe(8);
  const pairs = randomPairs(4, 19, 3, 12);
  const trainer = await openTrainer(gpu, {
    objective,
    mode: 'in_step',
    train: pairs,
    eval: pairs,
    training: { max_steps: 2, per_device_train_batch_size: 4 },
  });
  const metrics = await runSteps(trainer, 2);
  const evaluated = await trainer.evaluate();
  expect(metrics.every(({ loss }) => Number.isFinite(loss))).toBe(true);
  expect(evaluated.eval_kl_chosen).toBeGreaterThanOrEqual(0);
  gpu.close();
});
