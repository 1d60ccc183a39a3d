/**
 * KTO (Ethayarajh et al. 2024): desirable and undesirable answers, each against an estimate of the KL to the
 * reference that is made from prompts with other prompts' completions.
 *
 *   KL = max(0, mean(P_KL - R_KL)), detached;   r = P - R
 *   desirable: wD (1 - sigmoid(beta (r - KL)));   undesirable: wU (1 - sigmoid(beta (KL - r)));   mean over all answers
 */
import { z } from 'zod';
import { detach, type Tensor } from '../../autograd/tensor.ts';
import { likelihoods } from '../likelihoods.ts';
import { defineObjective } from '../objective.ts';
import { betaSetting, given, weightSetting } from '../shared.ts';

export const kto = defineObjective({
  name: 'kto',
  formula:
    'mean over answers of wD (1 - sigmoid(beta (r - KL))) if desirable, else wU (1 - sigmoid(beta (KL - r))),  r = P - R',
  paper: 'Ethayarajh et al. 2024',
  settings: z.strictObject({
    beta: betaSetting(0.1),
    desirable_weight: weightSetting(1, 'weight of desirable answers'),
    undesirable_weight: weightSetting(1, 'weight of undesirable answers'),
  }),
  // The KL is a mean over the whole optimizer batch.
  separable: false,
  takesTokenWeights: false,
  needs: () => ({ reference: 'logps', rows: 'labels', mismatched: true }),
  rewardScale: ({ beta }) => beta,
  // w (1 - sigmoid(0)) for every answer, where both kinds weigh the same
  lossAtReference: ({ desirable_weight, undesirable_weight }) =>
    desirable_weight === undesirable_weight ? desirable_weight / 2 : undefined,
  losses(inputs, { beta, desirable_weight, undesirable_weight }) {
    const l = likelihoods(inputs);
    const mismatched = given(inputs.mismatched, 'mismatched completions');
    const labels = given(inputs.labels, 'labels');
    const drift = detach(l.logRatioSum(mismatched));
    const kl = l.relu(l.dot(drift, inputs.pairWeights));
    // 1 - sigmoid(x) = sigmoid(-x)
    const desirable = l.affine(
      l.sigmoid(l.affine(l.subtract(l.logRatioSum(inputs.chosen), kl), -beta)),
      desirable_weight,
    );
    const undesirable = l.affine(
      l.sigmoid(l.affine(l.subtract(l.logRatioSum(inputs.rejected), kl), beta)),
      undesirable_weight,
    );
    const loss = l.add(l.dot(desirable, labels.desirable), l.dot(undesirable, labels.undesirable));
    // An unpaired row has an answer on one side only.
    const present = (losses: Tensor, weights: Tensor) => l.multiply(detach(losses), l.sign(weights));
    const details = {
      losses_desirable: present(desirable, labels.desirable),
      losses_undesirable: present(undesirable, labels.undesirable),
    };
    const losses = l.add(details.losses_desirable, details.losses_undesirable);
    return { loss, losses, scalars: { kl }, details };
  },
  contributions(inputs, { beta }) {
    const l = likelihoods(inputs);
    return l.affine(l.logRatioTokens(), beta);
  },
});
