/**
 * beta-DPO (Wu et al. 2024): beta follows the quality of the batch, and outliers are left out.
 *
 *   A = h, detached;  m <- momentum m + (1 - momentum) mean A;  s likewise with std (n - 1);  both from 0, before use
 *   keep int(B (1 - rho)) pairs drawn without replacement with weights exp(-((A - m) / s)^2 / 2)
 *   beta' = max(beta (1 + a (mean of kept A - m)), 1e-3);   loss = mean over the kept of -log sigmoid(beta' h)
 *
 * Statistics and selection are over the whole optimizer batch. Evaluation keeps every pair and moves nothing.
 */
import { z } from 'zod';
import { detach, type Tensor, temporary, whole } from '../autograd/tensor.ts';
import type { Recorder } from '../gpu/program.ts';
import { logRatioGap } from './dpo.ts';
import { likelihoods } from './likelihoods.ts';
import { defineObjective } from './objective.ts';
import { betaSetting } from './shared.ts';

export const betaDpo = defineObjective({
  name: 'beta-dpo',
  formula:
    "mean over kept pairs of -log sigmoid(beta' h),  beta' = max(beta (1 + a (mean of kept h - m)), 1e-3)",
  paper: 'Wu et al. 2024, Eq. 6 to 9',
  settings: z.strictObject({
    beta: betaSetting(0.1),
    a: z.number().min(0).default(0.6).describe("how strongly beta follows the batch's gap"),
    rho: z.number().min(0).lt(1).default(0.2).describe('share of the pairs that is left out'),
    momentum: z.number().min(0).lt(1).default(0.9).describe('of the running mean and deviation of the gap'),
  }),
  separable: false,
  takes: { bmc: false, dataWeights: false },
  needs: () => ({ reference: 'logps', rows: 'pairs' }),
  initState: () => ({ mean: 0, deviation: 0, 'step.mean': 0, 'step.deviation': 0 }),
  losses(inputs, { beta, a, rho, momentum }, state) {
    const l = likelihoods(inputs);
    const { recorder } = inputs.tape;
    const gap = logRatioGap(l, inputs);
    const keep = temporary(recorder, 'kept pairs', inputs.pairWeights.shape);
    const result = temporary(recorder, 'beta-DPO step', [3]);
    recorder.dispatch({
      label: 'beta_dpo_select',
      kernel: 'beta_dpo_select',
      conditions: { SELECT: inputs.training },
      overrides: inputs.training
        ? { BETA: beta, A_SCALE: a, RHO: rho, MOMENTUM: momentum }
        : { BETA: beta, A_SCALE: a },
      bindings: [
        detach(gap),
        inputs.pairWeights,
        state.mean,
        state.deviation,
        keep,
        result,
        ...(inputs.training ? [inputs.uniforms] : []),
      ].map(whole),
      grid: [1, 1],
    });
    const [mean, deviation, betaUsed] = [0, 1, 2].map((i) => pick(recorder, result, i));
    const losses = l.affine(l.logSigmoid(l.multiply(gap, betaUsed)), -1);
    return {
      loss: l.dot(losses, keep),
      losses,
      metrics: { 'beta_dpo/gap': gap },
      scalars: { 'beta_dpo/beta': betaUsed, 'beta_dpo/gap_mean': mean, 'beta_dpo/gap_std': deviation },
      accumulate: { 'step.mean': mean, 'step.deviation': deviation },
    };
  },
  contributions(inputs, { beta }) {
    const l = likelihoods(inputs);
    return l.affine(l.logRatioTokens(), beta);
  },
  nextState: (_tape, _settings, state) => ({ mean: state['step.mean'], deviation: state['step.deviation'] }),
});

function pick(recorder: Recorder, from: Tensor, index: number): Tensor {
  const y = temporary(recorder, 'pick', [1]);
  recorder.dispatch({
    label: 'pick',
    kernel: 'pick',
    overrides: { INDEX: index },
    bindings: [from, y].map(whole),
    grid: [1, 1],
  });
  return y;
}
