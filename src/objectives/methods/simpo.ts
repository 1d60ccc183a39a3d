/**
 * SimPO (Meng et al. 2024, Eq. 6): the average log-likelihood is the reward, and there is no reference.
 *
 *   d = Pw/|yw| - Pl/|yl| - gamma / beta;   loss = -(1 - s) log sigmoid(beta d) - s log sigmoid(-beta d) + sft_weight nll
 */
import { z } from 'zod';
import { likelihoods } from '../likelihoods.ts';
import { defineObjective } from '../objective.ts';
import { betaSetting, labelSmoothing, pairMean, smoothedLogistic, weightSetting } from '../shared.ts';

export const simpo = defineObjective({
  name: 'simpo',
  formula:
    '-(1-s) log sigmoid(beta d) - s log sigmoid(-beta d) + sft_weight nll,  d = Pw/|yw| - Pl/|yl| - gamma_beta_ratio',
  paper: 'Meng et al. 2024, Eq. 6',
  settings: z.strictObject({
    beta: betaSetting(2),
    gamma_beta_ratio: z.number().min(0).default(0.25).describe('target margin divided by beta'),
    label_smoothing: labelSmoothing,
    sft_weight: weightSetting(0, 'weight of the likelihood term'),
  }),
  separable: true,
  takesTokenWeights: true,
  needs: ({ sft_weight }) => ({ reference: 'none', rows: 'pairs', likelihood: sft_weight > 0 }),
  rewardScale: ({ beta }) => beta,
  losses(inputs, { beta, gamma_beta_ratio, label_smoothing, sft_weight }) {
    const l = likelihoods(inputs);
    const margin = l.affine(
      l.subtract(l.policyMean(inputs.chosen), l.policyMean(inputs.rejected)),
      1,
      -gamma_beta_ratio,
    );
    const losses = smoothedLogistic(l, l.affine(margin, beta), label_smoothing);
    const mean = pairMean(l, losses, inputs);
    return { loss: sft_weight === 0 ? mean : l.add(mean, l.affine(l.nll(), sft_weight)), losses };
  },
  contributions(inputs, { beta }) {
    const l = likelihoods(inputs);
    return l.perToken(l.affine(l.policyTokens(), beta));
  },
});
