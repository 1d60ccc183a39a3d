/**
 * epsilon-DPO (Lee et al. 2025): a KL penalty per pair, found from the monotonicity of perturbed logits.
 *
 *   z+ = z + e (z - zref), z- = z - e (z - zref);   H, H+, H-: log-likelihood gap of the pair under z, z+, z-
 *   step = +1 if H+ > H > H-, -1 if H- > H > H+, else 0;   beta_i = beta / (1 + e step)
 *   loss = -log sigmoid(beta_i h), nothing flows through the steps
 *   after every optimizer step: beta <- beta / (1 + e mean(step))   (released code; `mean_beta`: the mean of the beta_i)
 *
 * Table 3 uses one e for the criterion (`epsilon`) and another for the size of the step (`step_epsilon`).
 */
import { z } from 'zod';
import type { Tensor } from '../../autograd/tensor.ts';
import { vectorMath } from '../../ops/elementwise/vector.ts';
import { type Likelihoods, likelihoods } from '../likelihoods.ts';
import { defineObjective, type ObjectiveInputs, type ObjectiveState } from '../objective.ts';
import { betaSetting, given, pairMean } from '../shared.ts';
import { logRatioGap } from './dpo.ts';

const epsilonSetting = z.number().gt(0).lt(1);

export const epsilonDpo = defineObjective({
  name: 'epsilon-dpo',
  formula:
    '-log sigmoid(beta_i h),  beta_i = beta / (1 + e step_i),  step_i = +1 if H+ > H > H-, -1 if H- > H > H+, else 0',
  paper: 'epsilon-DPO (KL Penalty Control via Perturbation), Sections 3.2 and 3.3, Algorithm 1',
  settings: z
    .strictObject({
      beta: betaSetting(0.01),
      epsilon: epsilonSetting.default(0.01).describe('size of the perturbation in the criterion'),
      step_epsilon: epsilonSetting.optional().describe('size of the step of beta; epsilon unless given'),
      beta_update: z
        .enum(['mean_step', 'mean_beta'])
        .default('mean_step')
        .describe('released code, or the text of the paper'),
    })
    .transform((s) => ({ ...s, step_epsilon: s.step_epsilon ?? s.epsilon })),
  separable: true,
  takesTokenWeights: false,
  needs: ({ epsilon }) => ({ reference: 'logits', perturbation: epsilon, rows: 'pairs' }),
  rewardScale: ({ beta }) => beta,
  // -log sigmoid(0)
  lossAtReference: () => Math.LN2,
  initState: ({ beta }) => ({ beta, 'step.steps': 0, 'step.factors': 0 }),
  losses(inputs, { step_epsilon }, state) {
    const l = likelihoods(inputs);
    const { step, factor } = steps(l, inputs, step_epsilon);
    const betas = l.multiply(factor, state.beta);
    const losses = l.affine(l.logSigmoid(l.multiply(logRatioGap(l, inputs), betas)), -1);
    return {
      loss: pairMean(l, losses, inputs),
      losses,
      // A step of -1 raises beta, +1 lowers it.
      metrics: { 'epsilon/increase': l.relu(l.affine(step, -1)), 'epsilon/decrease': l.relu(step) },
      scalars: { 'epsilon/beta': state.beta },
      accumulate: {
        'step.steps': l.dot(step, inputs.pairWeights),
        'step.factors': l.dot(factor, inputs.pairWeights),
      },
      details: { steps: step, beta_per_pair: betas },
    };
  },
  contributions(inputs, _settings, { details }) {
    const l = likelihoods(inputs);
    return l.multiply(l.perAnswer(given(details, 'betas per pair').beta_per_pair), l.logRatioTokens());
  },
  nextState(tape, { step_epsilon, beta_update }, state: ObjectiveState) {
    const l = vectorMath(tape);
    if (beta_update === 'mean_beta') return { beta: l.multiply(state.beta, state['step.factors']) };
    return { beta: l.divide(state.beta, l.affine(state['step.steps'], step_epsilon, 1)) };
  },
});

/** step_i and 1 / (1 + e step_i), [P] each. */
function steps(l: Likelihoods, inputs: ObjectiveInputs, epsilon: number): { step: Tensor; factor: Tensor } {
  const { chosen, rejected } = inputs;
  const logpSteps = given(inputs.logpSteps, 'perturbed log-probs');
  const gap = (tokens: Tensor) => l.subtract(l.sumOver(chosen, tokens), l.sumOver(rejected, tokens));
  const [up, down] = [l.sign(gap(logpSteps.plus)), l.sign(gap(logpSteps.minus))];
  // Where both signs agree their product is 1; a zero on either side makes it 0.
  const step = l.multiply(up, l.relu(l.multiply(up, down)));
  return { step, factor: l.reciprocal(l.affine(step, epsilon, 1)) };
}
