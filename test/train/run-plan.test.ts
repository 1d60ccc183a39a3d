/** Which examples make up a step, how it is cut, and whom KTO mismatches with whom. */
import { describe, expect, it } from 'vitest';
import { RunPlan } from '../../src/train/run-plan.ts';

const EXAMPLES = 10;

/** Four examples to a step, cut by `maxExamples` and by tokens; every example takes its own number of tokens. */
function planOf(maxExamples: number, maxTokens = 1000): RunPlan {
  const limits = { stepSize: 4, maxExamples, maxTokens };
  const shapeOf = ({ example }: { example: number }) => ({ tokens: 10 + example, rows: 4, pairs: 1 });
  return new RunPlan(EXAMPLES, shapeOf, { ...limits, epochs: 2, maxSteps: -1, seed: 3 });
}

describe('a run', () => {
  it('takes every example once in an epoch; the last step may have fewer', () => {
    const plan = planOf(4);
    expect(plan.totalSteps).toBe(6);
    for (const epoch of [0, 1]) {
      const seen = [0, 1, 2].flatMap((i) => plan.examplesOf(3 * epoch + i));
      expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: EXAMPLES }, (_, i) => i));
    }
    expect(plan.examplesOf(2)).toHaveLength(2);
  });

  it('mismatches within a whole step, however it is cut', () => {
    for (let step = 0; step < 6; step++) {
      const order = planOf(4).examplesOf(step);
      const partners = order.map((example, i) => ({ example, partner: order[(i + 1) % order.length] }));
      for (const plan of [planOf(4), planOf(1), planOf(3), planOf(4, 25)])
        expect(plan.microBatchesOf(step).flat()).toEqual(partners);
    }
  });

  it('mismatches an example that is alone in its step with the next of the data set', () => {
    const options = { stepSize: 1, maxExamples: 1, maxTokens: 100, epochs: 1, maxSteps: -1, seed: 3 };
    const plan = new RunPlan(3, () => ({ tokens: 5, rows: 2, pairs: 1 }), options);
    const items = [0, 1, 2].flatMap((step) => plan.microBatchesOf(step).flat());
    for (const { example, partner } of items) expect(partner).toBe((example + 1) % 3);
  });

  it('cuts no micro-batch above the budget', () => {
    const plan = planOf(4, 30);
    for (let step = 0; step < plan.totalSteps; step++)
      for (const batch of plan.microBatchesOf(step))
        expect(batch.length === 1 || plan.shapeOf(batch).tokens <= 30).toBe(true);
  });

  it('deals the same steps out to ranks, and refuses more ranks than a step has rows', () => {
    const options = { stepSize: 4, maxExamples: 2, maxTokens: 100, epochs: 2, maxSteps: -1, seed: 3 };
    const shapeOf = ({ example }: { example: number }) => ({ tokens: 10 + example, rows: 4, pairs: 1 });
    const plans = [0, 1, 2].map(
      (rank) => new RunPlan(EXAMPLES, shapeOf, { ...options, ranks: { rank, size: 3 } }),
    );
    for (let step = 0; step < plans[0].totalSteps; step++) {
      const dealt = plans.flatMap((plan) => plan.microBatchesOf(step).flat(1));
      const byExample = (items: readonly { example: number; partner: number }[]) =>
        [...items].sort((a, b) => a.example - b.example);
      expect(byExample(dealt)).toEqual(byExample(planOf(4).microBatchesOf(step).flat()));
      expect(plans.map((plan) => plan.tokensOf(step))).toEqual(new Array(3).fill(planOf(4).tokensOf(step)));
      expect(plans[2].largestStep).toEqual(planOf(4).largestStep);
    }
    expect(() => new RunPlan(EXAMPLES, shapeOf, { ...options, ranks: { rank: 0, size: 5 } })).toThrow(
      'too few for 5 ranks',
    );
  });
});
