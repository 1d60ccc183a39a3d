/**
 * R-DPO (Park et al. 2024): DPO with a term for the difference in length. BMC prints the other sign: give a
 * negative alpha for that.
 *
 *   loss = -log sigmoid(beta h + alpha (|yw| - |yl|))
 */
import { z } from 'zod';
import { likelihoods } from '../likelihoods.ts';
import { defineObjective } from '../objective.ts';
import { betaSetting, pairMean } from '../shared.ts';
import { logRatioGap } from './dpo.ts';

export const rdpo = defineObjective({
  name: 'rdpo',
  formula: '-log sigmoid(beta h + alpha (|yw| - |yl|))',
  paper: 'Park et al. 2024',
  settings: z.strictObject({
    beta: betaSetting(0.1),
    alpha: z.number().default(0.05).describe('weight of the length difference'),
  }),
  separable: true,
  takesTokenWeights: true,
  needs: () => ({ reference: 'logps', rows: 'pairs' }),
  rewardScale: ({ beta }) => beta,
  losses(inputs, { beta, alpha }) {
    const l = likelihoods(inputs);
    const lengths = l.affine(l.subtract(inputs.chosen.lengths, inputs.rejected.lengths), alpha);
    const losses = l.affine(l.logSigmoid(l.add(l.affine(logRatioGap(l, inputs), beta), lengths)), -1);
    return { loss: pairMean(l, losses, inputs), losses };
  },
  contributions(inputs, { beta }) {
    const l = likelihoods(inputs);
    return l.affine(l.logRatioTokens(), beta);
  },
});
