/** Runs an objective over token log-probs: loss, dL/dlogp and what is logged. */
import { detach, type Tensor, temporary } from '../autograd/tensor.ts';
import type { Recorder } from '../gpu/program.ts';
import { recordFill } from '../ops/elementwise/fill.ts';
import { tapeFor } from '../ops/index.ts';
import { likelihoods } from './likelihoods.ts';
import type { ObjectiveInputs, ObjectiveResult, ObjectiveState, TokenInputs } from './objective.ts';
import type { ActiveObjective } from './registry.ts';
import { bmcWeights } from './token-weights/bmc.ts';

export interface ObjectiveRun extends ObjectiveResult {
  /** dL/dlogp [R]; absent in evaluation. */
  readonly gradient: Tensor | undefined;
  /** Per-token terms of the reward [R]. */
  readonly contributions: Tensor;
  /** Sums of the contributions over each answer [P]. */
  readonly rewards: { readonly chosen: Tensor; readonly rejected: Tensor };
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
  const inputs: ObjectiveInputs = { ...tokens, tape, logps, ...tokenWeights(recorder, active, tokens) };
  const result = active.losses(inputs, state);
  const contributions = active.contributions(inputs, result);
  const l = likelihoods({ ...inputs, logps: detach(logps) });
  const bmcMetrics =
    inputs.weights !== undefined && tokens.diff !== undefined
      ? weightMetrics(inputs, inputs.weights, tokens.diff)
      : {};
  if (tokens.training) {
    const one = temporary(recorder, 'one', [1]);
    recordFill(recorder, one, 1);
    tape.backward(result.loss, one);
  }
  return {
    ...result,
    metrics: { ...result.metrics, ...bmcMetrics },
    gradient: tape.gradientOf(logps),
    contributions,
    rewards: {
      chosen: l.sumOver(tokens.chosen, contributions),
      rejected: l.sumOver(tokens.rejected, contributions),
    },
    logps: { chosen: l.plainSum(tokens.chosen), rejected: l.plainSum(tokens.rejected) },
    weights: inputs.weights,
  };
}

/** The token weights of the policy and the reference terms: BMC's, or those in the data, or none. */
function tokenWeights(
  recorder: Recorder,
  active: ActiveObjective,
  tokens: TokenInputs,
): Pick<ObjectiveInputs, 'weights' | 'refWeights'> {
  const { bmc } = active;
  if (bmc === undefined)
    return active.takes.dataWeights && tokens.dataWeights !== undefined
      ? { weights: tokens.dataWeights }
      : {};
  if (tokens.diff === undefined) throw new RangeError('BMC was given no token differences.');
  const weights = bmcWeights(recorder, tokens.logps, tokens.diff, bmc.delta);
  if (bmc.reference_weights === 'policy' || tokens.refLogps === undefined) return { weights };
  return { weights, refWeights: bmcWeights(recorder, tokens.refLogps, tokens.diff, bmc.delta) };
}

/** Mean weight and share of varied tokens per answer, [P]. */
function weightMetrics(inputs: ObjectiveInputs, weights: Tensor, diff: Tensor): Record<string, Tensor> {
  const l = likelihoods(inputs);
  const mean = (side: typeof inputs.chosen, tokens: Tensor) =>
    l.divide(l.sumOver(side, tokens), side.lengths);
  return {
    'bmc/weight_chosen': mean(inputs.chosen, weights),
    'bmc/weight_rejected': mean(inputs.rejected, weights),
    'bmc/varied_chosen': mean(inputs.chosen, diff),
    'bmc/varied_rejected': mean(inputs.rejected, diff),
  };
}
