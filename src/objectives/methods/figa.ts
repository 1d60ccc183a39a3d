/**
 * FIGA (Guo et al. 2024): reward the tokens that were put in, punish those that were taken out.
 *
 *   loss = -alpha sum of p_w,t over diff(yw|yl) + beta sum of p_l,t over diff(yl|yw)
 */
import { z } from 'zod';
import { detach } from '../../autograd/tensor.ts';
import { segmentSum } from '../../ops/reduction/segment-sum.ts';
import { likelihoods } from '../likelihoods.ts';
import { type Answers, defineObjective, type ObjectiveInputs } from '../objective.ts';
import { given, pairMean, weightSetting } from '../shared.ts';

export const figa = defineObjective({
  name: 'figa',
  formula: '-alpha sum_{t in diff(yw|yl)} p_w,t + beta sum_{t in diff(yl|yw)} p_l,t',
  paper: 'Guo et al. 2024',
  settings: z.strictObject({
    alpha: weightSetting(1, 'weight of the tokens to encourage'),
    beta: weightSetting(0.5, 'weight of the tokens to discourage'),
    diff: z
      .enum(['levenshtein', 'difflib'])
      .default('levenshtein')
      .describe('how differing tokens are found'),
  }),
  separable: true,
  takesTokenWeights: false,
  needs: ({ diff }) => ({ reference: 'none', rows: 'pairs', differences: diff }),
  rewardScale: ({ beta }) => beta,
  losses(inputs, { alpha, beta }) {
    const l = likelihoods(inputs);
    const differing = (side: Answers) =>
      inputs.tape.apply(segmentSum, [inputs.logps], { segments: side.segments, weights: diffOf(inputs) })[0];
    const losses = l.add(
      l.affine(differing(inputs.chosen), -alpha),
      l.affine(differing(inputs.rejected), beta),
    );
    return { loss: pairMean(l, losses, inputs), losses };
  },
  contributions(inputs) {
    const l = likelihoods(inputs);
    return l.multiply(detach(inputs.logps), diffOf(inputs));
  },
});

function diffOf({ diff }: ObjectiveInputs) {
  return given(diff, 'token differences');
}
