/**
 * Curves of a method's loss over the policy's margin, computed by the graph that training runs. Every pair has answers of
 * one word each, the chosen answer's another than the rejected one's, over a vocabulary of two; their log-probs lie evenly
 * around a common level, so that chosen minus rejected is the margin wanted.
 */

import { type CasePair, computeCase, type Gpu } from '../../src/engine.ts';
import type { LambdaRequest, PlaygroundCurve, PlaygroundRequest } from './protocol.ts';

/** Log-prob per token of an answer at margin 0, or lower where the margins would need probabilities above 1. */
const LEVEL = -1;

export async function playgroundCurves(gpu: Gpu, request: PlaygroundRequest): Promise<PlaygroundCurve[]> {
  const { method, margins, referenceMargins, length } = request;
  if (!Number.isInteger(length) || length < 1)
    throw new RangeError('An answer of the playground has at least one token.');
  const widest = Math.max(...[...margins, ...referenceMargins].map(Math.abs));
  const level = Math.min(LEVEL, -widest / (2 * length) - 0.1);
  const pairs = referenceMargins.flatMap((reference) =>
    margins.map((margin) => pairOf(margin, reference, length, level)),
  );
  if (pairs.length === 0) return [];
  const name = method.bmc === undefined ? method.name : `${method.name}_bmc`;
  const { values, rows } = await computeCase(gpu, pairs, {
    name,
    hp: { ...method.settings, ...method.bmc },
  });
  const slope = (pair: number) => {
    const [start, end] = [rows.chosen[2 * pair], rows.chosen[2 * pair + 1]];
    const gradients = values.gradient.subarray(start, end);
    return (-pairs.length * gradients.reduce((a, b) => a + b, 0)) / (end - start);
  };
  return referenceMargins.map((referenceMargin, curve) => {
    const numbers = margins.map((_, i) => curve * margins.length + i);
    return {
      referenceMargin,
      loss: numbers.map((pair) => values.losses[pair]),
      gradientWeight: numbers.map(slope),
      betas: values.beta_per_pair && numbers.map((pair) => values.beta_per_pair[pair]),
    };
  });
}

/** lambda of a differing token of every probability: answers of one token over a vocabulary of two. */
export async function lambdaCurve(gpu: Gpu, { delta, probabilities }: LambdaRequest): Promise<number[]> {
  const pairs = probabilities.map((p): CasePair => {
    const logits = [[Math.log(p), Math.log1p(-p)]];
    return {
      chosen_ids: [0],
      rejected_ids: [1],
      policy_chosen_logits: logits,
      policy_rejected_logits: logits,
      ref_chosen_logits: logits,
      ref_rejected_logits: logits,
    };
  });
  if (pairs.length === 0) return [];
  const { values, rows } = await computeCase(gpu, pairs, { name: 'dpo_bmc', hp: { delta } });
  return pairs.map((_, pair) => values.weights[rows.chosen[2 * pair]]);
}

function pairOf(margin: number, reference: number, length: number, level: number): CasePair {
  const logits = (margin: number) => {
    const [chosen, rejected] = [level + margin / (2 * length), level - margin / (2 * length)];
    const rest = (logp: number) => Math.log(-Math.expm1(logp));
    const rows = (row: number[]) => Array.from({ length }, () => row);
    return { chosen: rows([chosen, rest(chosen)]), rejected: rows([rest(rejected), rejected]) };
  };
  const [policy, ref] = [logits(margin), logits(reference)];
  return {
    chosen_ids: new Array<number>(length).fill(0),
    rejected_ids: new Array<number>(length).fill(1),
    policy_chosen_logits: policy.chosen,
    policy_rejected_logits: policy.rejected,
    ref_chosen_logits: ref.chosen,
    ref_rejected_logits: ref.rejected,
  };
}
