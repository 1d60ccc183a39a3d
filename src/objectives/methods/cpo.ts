/**
 * CPO (Xu et al. 2024): DPO against a uniform reference, plus likelihood.
 *
 *   loss = -(1 - s) log sigmoid(beta (Pw - Pl)) - s log sigmoid(-beta (Pw - Pl)) + alpha nll
 */
import { z } from 'zod';
import { likelihoods } from '../likelihoods.ts';
import { defineObjective } from '../objective.ts';
import { betaSetting, labelSmoothing, pairMean, smoothedLogistic, weightSetting } from '../shared.ts';

export const cpo = defineObjective({
  name: 'cpo',
  formula: '-(1-s) log sigmoid(beta (Pw - Pl)) - s log sigmoid(-beta (Pw - Pl)) + alpha nll',
  paper: 'Xu et al. 2024',
  settings: z.strictObject({
    beta: betaSetting(0.1),
    alpha: weightSetting(1, 'weight of the likelihood term'),
    label_smoothing: labelSmoothing,
  }),
  separable: true,
  takesTokenWeights: false,
  needs: () => ({ reference: 'none', rows: 'pairs', likelihood: true }),
  rewardScale: ({ beta }) => beta,
  losses(inputs, { beta, alpha, label_smoothing }) {
    const l = likelihoods(inputs);
    const margin = l.affine(l.subtract(l.policySum(inputs.chosen), l.policySum(inputs.rejected)), beta);
    const losses = smoothedLogistic(l, margin, label_smoothing);
    return { loss: l.add(pairMean(l, losses, inputs), l.affine(l.nll(), alpha)), losses };
  },
  contributions(inputs, { beta }) {
    const l = likelihoods(inputs);
    return l.affine(l.policyTokens(), beta);
  },
});
