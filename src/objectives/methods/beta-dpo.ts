/**
 * beta-DPO (Wu et al. 2024): beta follows the quality of the batch, and outliers are left out.
 *
 *   A = h, detached;  m <- momentum m + (1 - momentum) mean A;  s likewise with std (n - 1);  both from 0, before use
 *   keep int(B (1 - rho)) pairs drawn without replacement with weights exp(-((A - m) / s)^2 / 2)
 *   beta' = max(beta (1 + a (mean of kept A - m)), 1e-3);   loss = mean over the kept of -log sigmoid(beta' h)
 *
 * Statistics and selection are over the whole optimizer batch. Evaluation keeps every pair and moves nothing.
 */
import { z } from 'zod';
import { detach } from '../../autograd/tensor.ts';
import { recordGapStatistics, recordPairSelection } from '../../ops/objectives/beta-dpo.ts';
import { likelihoods } from '../likelihoods.ts';
import { defineObjective } from '../objective.ts';
import { betaSetting, given } from '../shared.ts';
import { logRatioGap } from './dpo.ts';

/** beta' never falls below this. */
const SMALLEST_BETA = 1e-3;

export const betaDpo = defineObjective({
  name: 'beta-dpo',
  formula:
    "mean over kept pairs of -log sigmoid(beta' h),  beta' = max(beta (1 + a (mean of kept h - m)), 1e-3)",
  paper: 'Wu et al. 2024 (arXiv 2407.08639)',
  settings: z.strictObject({
    beta: betaSetting(0.1),
    a: z.number().min(0).default(0.6).describe("how strongly beta follows the batch's gap"),
    rho: z.number().min(0).lt(1).default(0.2).describe('share of the pairs that is left out'),
    momentum: z.number().min(0).lt(1).default(0.9).describe('of the running mean and deviation of the gap'),
  }),
  separable: false,
  takesTokenWeights: false,
  needs: () => ({ reference: 'logps', rows: 'pairs', gumbels: true }),
  rewardScale: ({ beta }) => beta,
  // -log sigmoid(0)
  lossAtReference: () => Math.LN2,
  initState: () => ({ mean: 0, deviation: 0, 'step.mean': 0, 'step.deviation': 0 }),
  losses(inputs, { beta, a, rho, momentum }, state) {
    const l = likelihoods(inputs);
    const h = logRatioGap(l, inputs);
    const gap = detach(h);
    const { tape, pairWeights, training } = inputs;
    const before = { mean: state.mean, deviation: state.deviation };
    const { mean, deviation } = training
      ? recordGapStatistics(tape.recorder, gap, pairWeights, before, momentum)
      : before;
    const select = () => {
      const gumbels = given(inputs.gumbels, 'Gumbel noise');
      return recordPairSelection(
        tape.recorder,
        { gaps: gap, pairWeights, gumbels },
        { mean, deviation },
        rho,
      );
    };
    const keep = inputs.selection ?? (training ? select() : pairWeights);
    const wanted = l.affine(l.subtract(l.dot(gap, keep), mean), beta * a, beta);
    const betaUsed = l.affine(l.relu(l.affine(wanted, 1, -SMALLEST_BETA)), 1, SMALLEST_BETA);
    const losses = l.affine(l.logSigmoid(l.multiply(h, betaUsed)), -1);
    return {
      loss: l.dot(losses, keep),
      losses,
      metrics: { 'beta_dpo/gap': gap },
      scalars: { 'beta_dpo/beta': betaUsed, 'beta_dpo/gap_mean': mean, 'beta_dpo/gap_std': deviation },
      accumulate: { 'step.mean': mean, 'step.deviation': deviation },
      details: { keep },
    };
  },
  contributions(inputs, { beta }) {
    const l = likelihoods(inputs);
    return l.affine(l.logRatioTokens(), beta);
  },
  nextState: (_tape, _settings, state) => ({ mean: state['step.mean'], deviation: state['step.deviation'] }),
});
