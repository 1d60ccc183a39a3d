/** The gain by quintile of K, from the numbers and from runs. */
import { describe, expect, it } from 'vitest';
import { quintileGains } from '../../src/step/quintiles.ts';
import { testGpu } from '../support/gpu.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';

describe('quintiles of K', () => {
  it('are five equal parts in the order of K, each with its mean gain', () => {
    const pairs = Array.from({ length: 10 }, (_, i) => ({ K: 9 - i, gap: 9 - i + Math.floor((9 - i) / 2) }));
    expect(quintileGains(pairs)).toEqual({
      'mipo/quintile_1': 0,
      'mipo/quintile_2': 1,
      'mipo/quintile_3': 2,
      'mipo/quintile_4': 3,
      'mipo/quintile_5': 4,
    });
    expect(quintileGains(pairs.slice(0, 4))).toEqual({});
  });

  it('start at 0 where the policy starts as its reference, and the lowest gains most under MIPO', async () => {
    const pairs = randomPairs(20, 41, 4, 9);
    const trainer = await openTrainer(await testGpu(), {
      objective: { name: 'mipo', settings: { beta: 2 } },
      train: pairs,
      eval: pairs,
      training: { learning_rate: 3e-3, per_device_train_batch_size: 20, max_steps: 10 },
    });
    const names = [1, 2, 3, 4, 5].map((n) => `eval_mipo/quintile_${n}`);
    const before = await trainer.evaluate();
    for (const name of names) expect(Math.abs(before[name]), name).toBeLessThan(1e-5);
    await runSteps(trainer, 10);
    const after = await trainer.evaluate();
    for (const name of names) expect(after[name], name).toBeGreaterThan(0);
    expect(after[names[0]]).toBeGreaterThan(after[names[4]]);
    trainer.free();
  });

  it.each(['dpo', 'epsilon-dpo', 'kto'])(
    'are evaluated for %s too, and are what scores say',
    async (name) => {
      const pairs = randomPairs(5, 43, 4, 9);
      const trainer = await openTrainer(await testGpu(), {
        objective: { name },
        reference: 'test/fixtures/torch/tiny-llama-reference',
        train: pairs,
        eval: pairs,
        training: { max_steps: 1 },
      });
      const metrics = await trainer.evaluate();
      trainer.free();
      const gains = [1, 2, 3, 4, 5].map((n) => metrics[`eval_mipo/quintile_${n}`]);
      // With five pairs each quintile is one: their mean gain is the mean gap of the policy minus the mean K.
      const mean = gains.reduce((a, b) => a + b, 0) / 5;
      const same = await openTrainer(await testGpu(), {
        objective: { name: 'mipo' },
        reference: 'test/fixtures/torch/tiny-llama-reference',
        train: pairs,
        eval: pairs,
        training: { max_steps: 1 },
      });
      const mipo = await same.evaluate();
      same.free();
      expect(gains.every(Number.isFinite)).toBe(true);
      expect(mean).toBeCloseTo(mipo['eval_mean_logps/margins'] - mipo['eval_mipo/K'], 4);
    },
  );

  it('are left out without a reference, or without pairs', async () => {
    const pairs = randomPairs(5, 43, 4, 9);
    const trainer = await openTrainer(await testGpu(), {
      objective: { name: 'simpo' },
      train: pairs,
      eval: pairs,
      training: { max_steps: 1 },
    });
    expect(Object.keys(await trainer.evaluate()).filter((key) => key.includes('quintile'))).toEqual([]);
    trainer.free();
  });
});
