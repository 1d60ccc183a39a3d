/** KL to the reference at evaluation: over the whole vocabulary, where the reference's logits are at hand. */
import { describe, expect, it } from 'vitest';
import { testGpu } from '../support/gpu.ts';
import { openTrainer, randomPairs } from '../support/trainer.ts';

const NAMES = [
  'eval_kl_chosen',
  'eval_kl_chosen_per_token',
  'eval_forward_kl_chosen',
  'eval_forward_kl_chosen_per_token',
];

async function evaluate(mode: 'in_step' | 'auto', reference?: string): Promise<Record<string, number>> {
  const pairs = randomPairs(6, 21, 3, 12);
  const trainer = await openTrainer(await testGpu(), {
    objective: { name: 'dpo' },
    train: pairs,
    eval: pairs,
    reference,
    mode,
  });
  const metrics = await trainer.evaluate();
  trainer.free();
  return metrics;
}

describe('KL at evaluation', () => {
  it('is exactly 0 where policy and reference are the same model', async () => {
    const metrics = await evaluate('in_step');
    for (const name of NAMES) expect(metrics[name], name).toBe(0);
  });

  it('is positive where they differ, in both directions, and larger per answer than per token', async () => {
    const metrics = await evaluate('in_step', 'test/fixtures/torch/tiny-llama-reference');
    for (const name of NAMES) expect(metrics[name], name).toBeGreaterThan(0);
    expect(metrics.eval_kl_chosen).not.toBe(metrics.eval_forward_kl_chosen);
    expect(metrics.eval_kl_chosen).toBeGreaterThan(3 * metrics.eval_kl_chosen_per_token);
  });

  it('is absent where only the log-probs of the reference are known', async () => {
    const metrics = await evaluate('auto');
    for (const name of NAMES) expect(metrics).not.toHaveProperty([name]);
  });
});
