/**
 * BMC's Modeling Phase: token weights that sit on top of another objective (DPO-BMC, Eq. 7 and 10).
 *
 *   lambda_t = 1 + min(sg(1 / p_t), delta)   on tokens that differ from the other answer, else 1
 *
 * `reference_weights: policy` (the paper) weights the whole log ratio by the policy's lambda; `reference` (the released
 * code) weights reference terms by the reference's own probabilities.
 */
import { z } from 'zod';
import { recordBmcWeights } from '../../ops/objectives/bmc-weights.ts';
import { given } from '../shared.ts';
import { defineTokenWeight } from './token-weight.ts';

export const bmcSettings = z.strictObject({
  delta: z
    .number()
    .min(0)
    .default(2)
    .describe('upper bound of the confidence weight 1/p; the papers use 1.5 to 3'),
  diff: z
    .enum(['levenshtein', 'difflib'])
    .default('levenshtein')
    .describe('how differing tokens are found: the paper, or the released code'),
  reference_weights: z
    .enum(['policy', 'reference'])
    .default('policy')
    .describe('weights of the reference terms: the paper, or the released code'),
});

export type BmcSettings = z.infer<typeof bmcSettings>;

export const bmc = defineTokenWeight({
  name: 'bmc',
  formula: 'lambda_t = 1 + min(sg(1 / p_t), delta) on tokens that differ from the other answer, else 1',
  paper: 'BMC, Eq. 7 and 10',
  settings: bmcSettings,
  needs: ({ diff }) => ({ differences: diff }),
  weights(recorder, { logps, refLogps, diff }, { delta, reference_weights }) {
    const differing = given(diff, 'token differences');
    const weights = recordBmcWeights(recorder, logps, differing, delta);
    if (reference_weights === 'policy' || refLogps === undefined) return { weights };
    return { weights, refWeights: recordBmcWeights(recorder, refLogps, differing, delta) };
  },
  metrics: ({ diff }, { weights }) => ({
    'bmc/weight': weights,
    'bmc/varied': given(diff, 'token differences'),
  }),
});
