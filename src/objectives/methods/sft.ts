/**
 * Supervised fine-tuning on the chosen answers.
 *
 *   nll = -(sum of all chosen response log-probs) / (number of them): a mean over tokens, not over sequences
 */
import { z } from 'zod';
import { likelihoods } from '../likelihoods.ts';
import { defineObjective } from '../objective.ts';

export const sft = defineObjective({
  name: 'sft',
  formula: '-(sum_t p_w,t) / (number of chosen tokens)',
  paper: 'the likelihood baseline of all three papers',
  settings: z.strictObject({}),
  defaults: { learning_rate: 2e-5 },
  separable: true,
  takesTokenWeights: false,
  needs: () => ({ reference: 'none', rows: 'chosen', likelihood: true }),
  losses(inputs) {
    const l = likelihoods(inputs);
    return {
      loss: l.nll(),
      losses: l.affine(l.divide(l.plainSum(inputs.chosen), inputs.chosen.lengths), -1),
    };
  },
  contributions: (inputs) => likelihoods(inputs).policyTokens(),
});
