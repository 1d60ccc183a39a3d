/** Settings and small formulas that several objectives share. */
import { z } from 'zod';
import type { Tensor } from '../autograd/tensor.ts';
import type { Likelihoods } from './likelihoods.ts';
import type { ObjectiveInputs } from './objective.ts';

/** beta > 0. */
export const betaSetting = (fallback: number) =>
  z.number().positive().default(fallback).describe('strength of the KL penalty, or scale of the reward');

/** s in [0, 0.5): the probability that a label is wrong. */
export const labelSmoothing = z
  .number()
  .min(0)
  .lt(0.5)
  .default(0)
  .describe('probability that a preference label is wrong');

export const weightSetting = (fallback: number, what: string) =>
  z.number().min(0).default(fallback).describe(what);

/** -(1 - s) log sigmoid(x) - s log sigmoid(-x). */
export function smoothedLogistic(l: Likelihoods, x: Tensor, smoothing: number): Tensor {
  const kept = l.affine(l.logSigmoid(x), smoothing - 1);
  if (smoothing === 0) return kept;
  return l.add(kept, l.affine(l.logSigmoid(l.affine(x, -1)), -smoothing));
}

/** The mean over the pairs of the step; this micro-batch's part, [1]. */
export function pairMean(l: Likelihoods, losses: Tensor, inputs: ObjectiveInputs): Tensor {
  return l.dot(losses, inputs.pairWeights);
}

/** An input that the objective asked for. @throws RangeError when it did not, or nobody provided it */
export function given<Input>(input: Input | undefined, what: string): Input {
  if (input === undefined)
    throw new RangeError(`There are no ${what}; the objective must ask for them in its needs.`);
  return input;
}
