/**
 * Sequence likelihoods as objectives use them. With token weights lambda (token-weights/) a weighted sum takes the place of
 * a sum; a mean divides the weighted sum by the plain number of tokens.
 */
import { detach, type Tensor, temporary } from '../autograd/tensor.ts';
import { recordFill } from '../ops/elementwise/fill.ts';
import { type VectorMath, vectorMath } from '../ops/elementwise/vector.ts';
import { addSegmentValues, segmentSum } from '../ops/reduction/segment-sum.ts';
import type { Answers, ObjectiveInputs } from './objective.ts';
import { given } from './shared.ts';

export interface Likelihoods extends VectorMath {
  /** Pw, Pl: sum of lambda p over an answer, [P]. */
  policySum(side: Answers): Tensor;
  /** The same divided by |y|. */
  policyMean(side: Answers): Tensor;
  /** Rw, Rl: sum of lambda r, [P]. */
  referenceSum(side: Answers): Tensor;
  referenceMean(side: Answers): Tensor;
  /**
   * Pw - Rw, Pl - Rl: sum of lambda (p - r), [P]. Token by token, which is more exact than the difference of two sums: those
   * come to hundreds, where an ulp of f32 is 3e-5.
   */
  logRatioSum(side: Answers): Tensor;
  /** Sum of p without weights, for likelihood terms. */
  plainSum(side: Answers): Tensor;
  /** Sum of any vector on the token axis, over an answer. */
  sumOver(side: Answers, tokens: Tensor): Tensor;
  /** A vector on the pair axis, given to every token of both answers; 0 outside all answers. A constant to the gradient. */
  perAnswer(pairs: Tensor): Tensor;
  /** A vector on the token axis divided by the length of the answer each token belongs to; 0 outside all answers. */
  perToken(tokens: Tensor): Tensor;
  /** lambda p per token, detached. */
  policyTokens(): Tensor;
  /** lambda (p - r) per token, detached. */
  logRatioTokens(): Tensor;
  /** -(sum of all chosen log-probs) / (number of chosen tokens in the step), this micro-batch's part, [1]. */
  nll(): Tensor;
}

export function likelihoods(inputs: ObjectiveInputs): Likelihoods {
  const { tape, logps, weights, chosen, rejected } = inputs;
  const math = vectorMath(tape);
  const refWeights = inputs.refWeights ?? weights;
  const reference = () => given(inputs.refLogps, 'reference log-probs');
  const sum = (side: Answers, tokens: Tensor, lambda?: Tensor) =>
    tape.apply(segmentSum, [tokens], { segments: side.segments, weights: lambda })[0];
  const weighted = (tokens: Tensor, lambda: Tensor | undefined) =>
    lambda === undefined ? tokens : math.multiply(tokens, lambda);
  const spread = (ofChosen: Tensor, ofRejected: Tensor): Tensor => {
    const tokens = temporary(tape.recorder, 'per token', logps.shape);
    recordFill(tape.recorder, tokens, 0);
    addSegmentValues(tape.recorder, ofChosen, chosen.segments, tokens);
    addSegmentValues(tape.recorder, ofRejected, rejected.segments, tokens);
    return tokens;
  };
  const logRatios = once(() =>
    inputs.refWeights === undefined
      ? math.subtract(logps, reference())
      : math.subtract(weighted(logps, weights), weighted(reference(), inputs.refWeights)),
  );
  const lengthShares = () => spread(math.reciprocal(chosen.lengths), math.reciprocal(rejected.lengths));
  const policyTokens = () => weighted(detach(logps), weights);
  return {
    ...math,
    policySum: (side) => sum(side, logps, weights),
    policyMean: (side) => math.divide(sum(side, logps, weights), side.lengths),
    referenceSum: (side) => sum(side, reference(), refWeights),
    referenceMean: (side) => math.divide(sum(side, reference(), refWeights), side.lengths),
    logRatioSum: (side) => sum(side, logRatios(), inputs.refWeights === undefined ? weights : undefined),
    plainSum: (side) => sum(side, logps),
    sumOver: (side, tokens) => sum(side, tokens),
    perAnswer: (pairs) => spread(pairs, pairs),
    perToken: (tokens) => math.multiply(tokens, lengthShares()),
    policyTokens,
    logRatioTokens: () => math.subtract(policyTokens(), weighted(reference(), refWeights)),
    nll: () =>
      math.affine(
        math.dot(sum(chosen, logps), given(inputs.likelihoodWeights, 'weights of a likelihood term')),
        -1,
      ),
  };
}

/** What `make` makes, made when it is first asked for. */
function once<Value>(make: () => Value): () => Value {
  let made: Value | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
