/** Log-probs between -2^-30 and 0, on both sides of ORPO's clamp; too fine for logits in f32, so given as they are. */
import { describe, expect, it } from 'vitest';
import { objectiveOfCase } from '../../src/cases/compute.ts';
import { tokenDifferences } from '../../src/data/differences.ts';
import { readFixture } from '../cases/golden.ts';
import { expectCase, type GoldenCase, named } from '../cases/golden-case.ts';
import { testGpu } from '../support/gpu.ts';
import { type HostPair, runStep } from './step.ts';

interface Pair {
  readonly chosen_ids: number[];
  readonly rejected_ids: number[];
  readonly policy_chosen_logps: number[];
  readonly policy_rejected_logps: number[];
  readonly ref_chosen_logps: number[];
  readonly ref_rejected_logps: number[];
  readonly policy_KL_logp: number;
  readonly ref_KL_logp: number;
}

interface Batch {
  readonly name: string;
  readonly batch: { readonly pairs: Pair[] };
  readonly cases: GoldenCase[];
}

const batch = readFixture<{ batches: Batch[] }>('torch/saturation.json').batches.find(
  (b) => b.name === 'p near 1',
);
if (batch === undefined) throw new RangeError('saturation.json has no batch "p near 1".');
const { pairs } = batch.batch;

describe('p near 1', () => {
  it.each(named(batch.cases))('%s', async (_, expected) => {
    const { active, state } = objectiveOfCase(expected);
    // In the file the first pairs stand for beta-DPO's draw: noise that prefers them.
    const gumbels = pairs.map((_, p) => -1e3 * p);
    const { loss, values, gradient } = await runStep(await testGpu(), active, pairs.map(hostPair), {
      state,
      gumbels,
    });
    expect([loss, ...Object.values(values).flat()].every(Number.isFinite)).toBe(true);
    const result = {
      ...values,
      loss,
      grad_chosen: gradient.chosen,
      grad_rejected: gradient.rejected,
      chosen_rewards: values['rewards/chosen'],
      rejected_rewards: values['rewards/rejected'],
      log_odds: values['orpo/log_odds'],
      K: values['mipo/K'],
      q: values['mipo/q'],
      beta_used: values['beta_dpo/beta'],
      gap_mean_after: values['next.mean'],
      gap_std_after: values['next.deviation'],
    };
    const { weight_chosen: _w, weight_rejected: _l, ...comparable } = expected;
    expectCase(result, comparable as GoldenCase);
  });
});

function hostPair(pair: Pair): HostPair {
  const masks = tokenDifferences(pair.rejected_ids, pair.chosen_ids, 'levenshtein');
  return {
    chosen: {
      logps: pair.policy_chosen_logps,
      ref: pair.ref_chosen_logps,
      diff: Array.from(masks.chosen),
    },
    rejected: {
      logps: pair.policy_rejected_logps,
      ref: pair.ref_rejected_logps,
      diff: Array.from(masks.rejected),
    },
    mismatched: { logps: [pair.policy_KL_logp], ref: [pair.ref_KL_logp] },
  };
}
