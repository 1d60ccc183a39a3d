/**
 * MIPO (Jang et al. 2024): the reference intervenes more where it is already aligned with the preference.
 *
 *   K = Rw/|yw| - Rl/|yl|, a constant;   q = log(1 + e^K)
 *   loss = -log sigmoid(beta (Pw/|yw| - Pl/|yl|) - beta q)      (Eq. 5; gradient weight Eq. 10)
 */
import { z } from 'zod';
import { likelihoods } from '../likelihoods.ts';
import { defineObjective } from '../objective.ts';
import { betaSetting, pairMean } from '../shared.ts';

export const mipo = defineObjective({
  name: 'mipo',
  formula: '-log sigmoid(beta (Pw/|yw| - Pl/|yl|) - beta q),  q = log(1 + e^K),  K = Rw/|yw| - Rl/|yl|',
  paper: 'MIPO, Eq. 5',
  settings: z.strictObject({ beta: betaSetting(25) }),
  separable: true,
  takesTokenWeights: false,
  needs: () => ({ reference: 'logps', rows: 'pairs' }),
  rewardScale: ({ beta }) => beta,
  losses(inputs, { beta }) {
    const l = likelihoods(inputs);
    const K = l.subtract(l.referenceMean(inputs.chosen), l.referenceMean(inputs.rejected));
    const q = l.softplus(K);
    const f = l.subtract(l.policyMean(inputs.chosen), l.policyMean(inputs.rejected));
    const losses = l.affine(l.logSigmoid(l.affine(l.subtract(f, q), beta)), -1);
    return { loss: pairMean(l, losses, inputs), losses, metrics: { 'mipo/K': K, 'mipo/q': q } };
  },
  contributions(inputs, { beta }) {
    const l = likelihoods(inputs);
    return l.perToken(l.affine(l.policyTokens(), beta));
  },
});
