/**
 * SLiC-HF (Zhao et al. 2023): a hinge on sequence log-likelihoods plus likelihood of the chosen answer.
 *
 *   loss = relu(delta - Pw + Pl) - sft_weight Pw
 */
import { z } from 'zod';
import { likelihoods } from '../likelihoods.ts';
import { defineObjective } from '../objective.ts';
import { pairMean, weightSetting } from '../shared.ts';

export const slic = defineObjective({
  name: 'slic',
  formula: 'relu(delta - Pw + Pl) - sft_weight Pw',
  paper: 'Zhao et al. 2023',
  settings: z.strictObject({
    delta: z.number().min(0).default(1).describe('margin of the hinge'),
    sft_weight: weightSetting(0.1, 'weight of the likelihood term'),
  }),
  separable: true,
  takesTokenWeights: false,
  needs: () => ({ reference: 'none', rows: 'pairs' }),
  losses(inputs, { delta, sft_weight }) {
    const l = likelihoods(inputs);
    const [w, r] = [l.policySum(inputs.chosen), l.policySum(inputs.rejected)];
    const losses = l.add(l.relu(l.affine(l.subtract(r, w), 1, delta)), l.affine(w, -sft_weight));
    return { loss: pairMean(l, losses, inputs), losses };
  },
  contributions: (inputs) => likelihoods(inputs).policyTokens(),
});
