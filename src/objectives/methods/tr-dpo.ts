/**
 * TR-DPO (Gorbatovski et al. 2024): DPO whose reference follows the policy. After optimizer step t, if t % tau = 0,
 *
 *   ref <- alpha policy + (1 - alpha) ref      alpha = 1: hard update (TR-DPO^tau), less: soft (TR-DPO^alpha)
 *
 * The loop makes the update; the objective says when, and how far.
 */
import { z } from 'zod';
import { likelihoods } from '../likelihoods.ts';
import { defineObjective } from '../objective.ts';
import { betaSetting, pairMean, smoothedLogistic } from '../shared.ts';
import { logRatioGap } from './dpo.ts';

export const trDpo = defineObjective({
  name: 'tr-dpo',
  formula: '-log sigmoid(beta h);  every tau steps ref <- alpha policy + (1-alpha) ref',
  paper: 'Gorbatovski et al. 2024',
  settings: z.strictObject({
    beta: betaSetting(0.1),
    alpha: z
      .number()
      .gt(0)
      .max(1)
      .default(0.6)
      .describe('share of the policy in the new reference; 1 is a hard update'),
    // The paper's 512 is more than the 478 steps of an epoch of UltraFeedback in batches of 128: the reference would never move.
    tau: z.number().int().positive().default(64).describe('optimizer steps between reference updates'),
  }),
  separable: true,
  takesTokenWeights: false,
  needs: ({ alpha, tau }) => ({
    reference: 'logps',
    referenceUpdate: { every: tau, share: alpha },
    rows: 'pairs',
  }),
  rewardScale: ({ beta }) => beta,
  warnings: ({ tau }, totalSteps) =>
    tau <= totalSteps
      ? []
      : [
          `objective.settings.tau: the reference is updated every ${tau} steps, but the run has ${totalSteps}, so it never moves; lower it.`,
        ],
  // -log sigmoid(0)
  lossAtReference: () => Math.LN2,
  losses(inputs, { beta }) {
    const l = likelihoods(inputs);
    const losses = smoothedLogistic(l, l.affine(logRatioGap(l, inputs), beta), 0);
    return { loss: pairMean(l, losses, inputs), losses };
  },
  contributions(inputs, { beta }) {
    const l = likelihoods(inputs);
    return l.affine(l.logRatioTokens(), beta);
  },
});
