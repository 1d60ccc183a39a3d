/**
 * Preference tuning lives at learning rates near 5e-7, where a step is far below the spacing of 16-bit numbers. Masters
 * and moments are f32, so what 16-bit compute changes is the f32 change to 1%.
 */
import { describe, expect, it } from 'vitest';
import { download } from '../../src/autograd/tensor.ts';
import { testGpu } from '../support/gpu.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';

/** By weight: what ten steps of DPO at 5e-7 add to it. */
async function change(dtype: 'f32' | 'f16' | 'bf16'): Promise<Map<string, Float64Array>> {
  const gpu = await testGpu();
  const trainer = await openTrainer(gpu, {
    objective: { name: 'dpo', settings: { beta: 0.1 } },
    reference: 'test/fixtures/torch/tiny-llama-reference',
    train: randomPairs(8, 5, 4, 20),
    dtype,
    training: { learning_rate: 5e-7, max_steps: 10, per_device_train_batch_size: 8 },
  });
  const parameters = [...(trainer.policy.trained?.parameters.values() ?? [])];
  const before = await Promise.all(parameters.map((p) => download(gpu, p.master)));
  await runSteps(trainer, 10);
  const after = await Promise.all(parameters.map((p) => download(gpu, p.master)));
  trainer.free();
  trainer.policy.free();
  return new Map(parameters.map((p, k) => [p.name, Float64Array.from(after[k], (v, i) => v - before[k][i])]));
}

const norm = (x: Float64Array) => Math.hypot(...x);

describe('at a learning rate of 5e-7 the masters change as with f32 compute', async () => {
  const expected = await change('f32');

  it('and they do change', () => {
    for (const [name, values] of expected) expect(norm(values), name).toBeGreaterThan(0);
  });

  it.each(['f16', 'bf16'] as const)('%s', async (dtype) => {
    const found = await change(dtype);
    for (const [name, values] of expected) {
      const other = found.get(name) ?? new Float64Array();
      const cosine = values.reduce((sum, v, i) => sum + v * other[i], 0) / (norm(values) * norm(other));
      expect(Math.abs(norm(other) / norm(values) - 1), `${name}, size of the change`).toBeLessThan(0.01);
      // Adam's first steps are signs, which rounding turns where a gradient is nearly zero.
      expect(cosine, `${name}, direction of the change`).toBeGreaterThan(0.95);
    }
  });
});
