/**
 * DPO (Rafailov et al. 2023, Eq. 7), with the label smoothing of conservative DPO. With BMC or data weights the sums are
 * weighted (DPO-BMC, Eq. 4; DPO(EW)).
 *
 *   h = (Pw - Pl) - (Rw - Rl);   loss = -(1 - s) log sigmoid(beta h) - s log sigmoid(-beta h)
 */
import { z } from 'zod';
import { type Likelihoods, likelihoods } from '../likelihoods.ts';
import { defineObjective, type ObjectiveInputs } from '../objective.ts';
import { betaSetting, labelSmoothing, pairMean, smoothedLogistic } from '../shared.ts';

export const dpo = defineObjective({
  name: 'dpo',
  formula: '-(1-s) log sigmoid(beta h) - s log sigmoid(-beta h),  h = (Pw - Pl) - (Rw - Rl)',
  paper: 'Rafailov et al. 2023, Eq. 7; with bmc: DPO-BMC, Eq. 4',
  settings: z.strictObject({ beta: betaSetting(0.1), label_smoothing: labelSmoothing }),
  separable: true,
  takesTokenWeights: true,
  needs: () => ({ reference: 'logps', rows: 'pairs' }),
  rewardScale: ({ beta }) => beta,
  // -(1 - s) log sigmoid(0) - s log sigmoid(-0)
  lossAtReference: () => Math.LN2,
  losses(inputs, { beta, label_smoothing }) {
    const l = likelihoods(inputs);
    const losses = smoothedLogistic(l, l.affine(logRatioGap(l, inputs), beta), label_smoothing);
    return { loss: pairMean(l, losses, inputs), losses };
  },
  contributions: (inputs, { beta }) => {
    const l = likelihoods(inputs);
    return l.affine(l.logRatioTokens(), beta);
  },
});

/** h = (Pw - Rw) - (Pl - Rl), [P]. */
export function logRatioGap(l: Likelihoods, { chosen, rejected }: ObjectiveInputs) {
  return l.subtract(l.logRatioSum(chosen), l.logRatioSum(rejected));
}
