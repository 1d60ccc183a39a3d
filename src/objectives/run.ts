/** Runs an objective over token log-probs: loss, dL/dlogp and what is logged. */
import { detach, type Tensor, temporary } from '../autograd/tensor.ts';
import type { Recorder } from '../gpu/program.ts';
import { recordFill } from '../ops/elementwise/fill.ts';
import { tapeFor } from '../ops/index.ts';
import type { ActiveObjective } from './choice.ts';
import { likelihoods } from './likelihoods.ts';
import type { ObjectiveInputs, ObjectiveResult, ObjectiveState, TokenInputs } from './objective.ts';

export interface ObjectiveRun extends ObjectiveResult {
  /** dL/dlogp [R]; absent in evaluation. */
  readonly gradient: Tensor | undefined;
  /** Per-token terms of the reward [R]. */
  readonly contributions: Tensor;
  /** Sums of the contributions over each answer [P]. */
  readonly rewards: { readonly chosen: Tensor; readonly rejected: Tensor };
  /** The same with every weight 1, where there are token weights. */
  readonly unweightedRewards: { readonly chosen: Tensor; readonly rejected: Tensor } | undefined;
  /** Plain sums of policy log-probs [P]. */
  readonly logps: { readonly chosen: Tensor; readonly rejected: Tensor };
  /** lambda of the policy terms [R], where there are token weights. */
  readonly weights: Tensor | undefined;
}

/** @param tokens `logps` may be any tensor; the gradient is returned, not passed on. */
export function runObjective(
  recorder: Recorder,
  active: ActiveObjective,
  tokens: TokenInputs,
  state: ObjectiveState,
): ObjectiveRun {
  const tape = tapeFor(recorder);
  const logps: Tensor = { ...detach(tokens.logps), requiresGrad: tokens.training };
  const inputs: ObjectiveInputs = {
    ...tokens,
    tape,
    logps,
    ...active.tokenWeights?.weights(recorder, tokens),
  };
  const result = active.losses(inputs, state);
  const contributions = active.contributions(inputs, result);
  const l = likelihoods({ ...inputs, logps: detach(logps) });
  const ofWeights = weightMetrics(active, inputs);
  const sums = (terms: Tensor) => ({
    chosen: l.sumOver(tokens.chosen, terms),
    rejected: l.sumOver(tokens.rejected, terms),
  });
  const plain =
    inputs.weights === undefined
      ? undefined
      : active.contributions({ ...inputs, weights: undefined, refWeights: undefined }, result);
  if (tokens.training) {
    const one = temporary(recorder, 'one', [1]);
    recordFill(recorder, one, 1);
    tape.backward(result.loss, one);
  }
  return {
    ...result,
    metrics: { ...result.metrics, ...ofWeights },
    gradient: tape.gradientOf(logps),
    contributions,
    rewards: sums(contributions),
    unweightedRewards: plain && sums(plain),
    logps: { chosen: l.plainSum(tokens.chosen), rejected: l.plainSum(tokens.rejected) },
    weights: inputs.weights,
  };
}

/** What the token weights log: means per answer, [P]. */
function weightMetrics({ tokenWeights }: ActiveObjective, inputs: ObjectiveInputs): Record<string, Tensor> {
  const { weights, refWeights, chosen, rejected } = inputs;
  if (tokenWeights === undefined || weights === undefined) return {};
  const l = likelihoods(inputs);
  const metrics: Record<string, Tensor> = {};
  for (const [name, tokens] of Object.entries(tokenWeights.metrics(inputs, { weights, refWeights }))) {
    metrics[`${name}_chosen`] = l.divide(l.sumOver(chosen, tokens), chosen.lengths);
    metrics[`${name}_rejected`] = l.divide(l.sumOver(rejected, tokens), rejected.lengths);
  }
  return metrics;
}
