/**
 * IPO (Azar et al. 2023, Eq. 17): a squared loss that pulls the log-ratio gap to 1 / (2 tau).
 *
 *   loss = (hbar - 1 / (2 tau))^2,   hbar from per-token averages (TRL, confirmed by the authors); average_logps: false takes sums
 */
import { z } from 'zod';
import { type Likelihoods, likelihoods } from '../likelihoods.ts';
import { type Answers, defineObjective } from '../objective.ts';
import { pairMean } from '../shared.ts';

export const ipo = defineObjective({
  name: 'ipo',
  formula: '(hbar - 1/(2 tau))^2,  hbar = (Pw/|yw| - Pl/|yl|) - (Rw/|yw| - Rl/|yl|)',
  paper: 'Azar et al. 2023, Eq. 17',
  settings: z.strictObject({
    tau: z.number().positive().default(0.1).describe('regularisation; the target gap is 1 / (2 tau)'),
    average_logps: z.boolean().default(true).describe('per-token averages instead of sums'),
  }),
  separable: true,
  takesTokenWeights: true,
  needs: () => ({ reference: 'logps', rows: 'pairs' }),
  rewardScale: ({ tau }) => tau,
  lossAtReference: ({ tau }) => 1 / (2 * tau) ** 2,
  losses(inputs, { tau, average_logps }) {
    const l = likelihoods(inputs);
    const ratio = (side: Answers) =>
      average_logps ? l.divide(l.logRatioSum(side), side.lengths) : l.logRatioSum(side);
    const gap = l.subtract(ratio(inputs.chosen), ratio(inputs.rejected));
    const losses = l.square(l.affine(gap, 1, -1 / (2 * tau)));
    return { loss: pairMean(l, losses, inputs), losses };
  },
  contributions(inputs, { tau, average_logps }) {
    const l: Likelihoods = likelihoods(inputs);
    const ratios = l.affine(l.logRatioTokens(), tau);
    return average_logps ? l.perToken(ratios) : ratios;
  },
});
