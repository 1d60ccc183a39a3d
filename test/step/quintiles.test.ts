/** MIPO's gain by quintile of K, from the numbers and from a run. */
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
});
