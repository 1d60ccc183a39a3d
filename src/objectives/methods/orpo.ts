/**
 * ORPO (Hong et al. 2024): likelihood plus the log odds ratio of average likelihoods; no reference.
 *
 *   lo = (Pwbar - Plbar) - (log(1 - exp Pwbar) - log(1 - exp Plbar));   loss = nll - beta log sigmoid(lo)
 *
 * log(1 - exp x) is taken at min(x, -1e-6), with no gradient beyond. nll is a mean over tokens, or per sequence first
 * (`nll: sequence_mean`, BMC's Table 7); it is never weighted.
 */
import { z } from 'zod';
import { detach } from '../../autograd/tensor.ts';
import { likelihoods } from '../likelihoods.ts';
import { defineObjective } from '../objective.ts';
import { betaSetting, pairMean } from '../shared.ts';

export const orpo = defineObjective({
  name: 'orpo',
  formula: 'nll - beta log sigmoid(lo),  lo = logit(exp(Pw/|yw|)) - logit(exp(Pl/|yl|))',
  paper: 'Hong et al. 2024',
  settings: z.strictObject({
    beta: betaSetting(0.1),
    nll: z
      .enum(['token_mean', 'sequence_mean'])
      .default('token_mean')
      .describe('how the likelihood term is averaged'),
  }),
  separable: true,
  takesTokenWeights: true,
  needs: ({ nll }) => ({ reference: 'none', rows: 'pairs', likelihood: nll === 'token_mean' }),
  rewardScale: ({ beta }) => beta,
  losses(inputs, { beta, nll }) {
    const l = likelihoods(inputs);
    const { chosen, rejected } = inputs;
    const [w, r] = [l.policyMean(chosen), l.policyMean(rejected)];
    const odds = l.subtract(l.subtract(w, r), l.subtract(l.log1mexp(w), l.log1mexp(r)));
    const oddsLosses = l.affine(l.logSigmoid(odds), -beta);
    const perSequence = () => l.affine(l.divide(l.plainSum(chosen), chosen.lengths), -1);
    const tokenMean = nll === 'token_mean';
    const likelihoodLosses = tokenMean ? l.nll() : perSequence();
    const likelihood = tokenMean ? likelihoodLosses : pairMean(l, likelihoodLosses, inputs);
    return {
      loss: l.add(pairMean(l, oddsLosses, inputs), likelihood),
      losses: l.add(detach(oddsLosses), detach(likelihoodLosses)),
      metrics: { 'orpo/log_odds': odds },
    };
  },
  contributions(inputs, { beta }) {
    const l = likelihoods(inputs);
    return l.perToken(l.affine(l.policyTokens(), beta));
  },
});
