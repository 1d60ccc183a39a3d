/**
 * RRHF (Yuan et al. 2023): a hinge on average log-likelihoods plus likelihood of the chosen answer.
 *
 *   loss = relu(Pl/|yl| - Pw/|yw|) - sft_weight Pw
 */
import { z } from 'zod';
import { likelihoods } from '../likelihoods.ts';
import { defineObjective } from '../objective.ts';
import { pairMean, weightSetting } from '../shared.ts';

export const rrhf = defineObjective({
  name: 'rrhf',
  formula: 'relu(Pl/|yl| - Pw/|yw|) - sft_weight Pw',
  paper: 'Yuan et al. 2023',
  settings: z.strictObject({ sft_weight: weightSetting(1, 'weight of the likelihood term') }),
  separable: true,
  takesTokenWeights: false,
  needs: () => ({ reference: 'none', rows: 'pairs' }),
  losses(inputs, { sft_weight }) {
    const l = likelihoods(inputs);
    const hinge = l.relu(l.subtract(l.policyMean(inputs.rejected), l.policyMean(inputs.chosen)));
    const losses = l.add(hinge, l.affine(l.policySum(inputs.chosen), -sft_weight));
    return { loss: pairMean(l, losses, inputs), losses };
  },
  contributions(inputs) {
    const l = likelihoods(inputs);
    return l.perToken(l.policyTokens());
  },
});
