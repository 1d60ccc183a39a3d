/**
 * Products that read the same x, some of them with LoRA pairs:
 *
 *   low = s x Aᵀ,  A the A of all pairs one after the other,  low_i the columns of low that are pair i's
 *   y_i = x w_iᵀ + low_i b_iᵀ
 *
 *   dlow_i = s dy_i b_i,   db_i = dy_iᵀ low_i,   dA = dlowᵀ x,   dw_i = dy_iᵀ x,   dx = Σ dy_i w_i + dlow A
 *
 * One product makes low, one dA, and the last of those that make dx has dlow A in its own sum.
 */
import type { GradientContext } from '../../autograd/op.ts';
import { type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import { recordFill } from '../elementwise/fill.ts';
import {
  type ColumnRange,
  type LowRank,
  launchLinear,
  launchLinearBackwardInput,
  launchLinearBackwardWeight,
  stagesGradient,
} from './linear.ts';

/** Places among the inputs of an op. Input 0 is x. */
export interface SharedInput {
  readonly weights: readonly number[];
  /** Of A [R, K], and of each weight's B [N, R_i]; the R_i of all that have one add up to R. */
  readonly a: number | undefined;
  readonly bs: readonly (number | undefined)[];
}

/** s x Aᵀ [T, R]. */
export function launchLow(recorder: Recorder, x: Tensor, a: Tensor, scale: number): Tensor {
  const low = temporary(recorder, 'lora', [x.shape[0], a.shape[0]]);
  const product = { rows: x.shape[0], weight: a, scale, accumulate: false, x: x.dtype };
  launchLinear(recorder, whole(x), whole(low), product);
  return low;
}

/** What each product adds to its sum. */
export function lowRanksOf(low: Tensor, bs: readonly (Tensor | undefined)[]): (LowRank | undefined)[] {
  const ranges = rangesOf(low, bs);
  return bs.map((b, i) => b && { own: whole(low), other: b, range: ranges[i] });
}

/** Where the columns of each pair lie; undefined where they are all. */
function rangesOf({ shape: [, width] }: Tensor, bs: readonly (Tensor | undefined)[]) {
  let end = 0;
  return bs.map((b): ColumnRange | undefined => {
    const first = end;
    end += b?.shape[1] ?? 0;
    return b === undefined || b.shape[1] === width ? undefined : { first, width };
  });
}

/** Whether all products below that read dys stage them in 16 bits, so that they may be stored so. */
export function stagesGradients(
  { recorder, inputs, needs }: GradientContext<unknown>,
  { weights, bs }: SharedInput,
): boolean {
  const product = (orientation: 'INPUT' | 'WEIGHT') => (place: number) => {
    const weight = inputs[place];
    const made = orientation === 'WEIGHT' ? (weight.gradient ?? weight) : weight;
    return { orientation, weight: made, stored: weight.dtype };
  };
  const pairs = bs.filter((place) => place !== undefined);
  const towardInputs = [...(needs(0) ? weights : []), ...pairs].map(product('INPUT'));
  const towardWeights = [...weights, ...pairs].filter(needs).map(product('WEIGHT'));
  return stagesGradient(recorder, [...towardInputs, ...towardWeights], inputs[0].shape[0]);
}

/**
 * Records the gradients of x, of all weights and of all pairs.
 * @param dys of each product, in f32 or as `half_gradient` makes them; undefined where nothing flowed back
 */
export function launchSharedGradients(
  context: GradientContext<unknown>,
  places: SharedInput,
  dys: readonly (Tensor | undefined)[],
  pairs: { readonly low: Tensor; readonly scale: number } | undefined,
): void {
  const { recorder, inputs, needs, target } = context;
  const [x] = inputs;
  const rows = x.shape[0];
  const dLow = pairs && launchPairGradients(context, places, dys, pairs.low, pairs.scale);
  const flowing = places.weights.flatMap((place, i) => {
    const dy = dys[i];
    return dy === undefined ? [] : [{ place, dy }];
  });
  if (needs(0)) {
    const { tensor, accumulate } = target(0);
    flowing.forEach(({ place, dy }, i) => {
      const product = {
        rows,
        weight: inputs[place],
        scale: 1,
        accumulate: accumulate || i > 0,
        dy: dy.dtype,
      };
      const isLast = i === flowing.length - 1;
      const lowRank = isLast &&
        dLow &&
        places.a !== undefined && { own: whole(dLow), other: inputs[places.a] };
      launchLinearBackwardInput(recorder, whole(dy), whole(tensor), product, lowRank || undefined);
    });
  }
  for (const { place, dy } of flowing) launchWeightGradient(context, place, dy, x);
}

/** Gradients of A and of every B; returns dlow [T, R]. */
function launchPairGradients(
  context: GradientContext<unknown>,
  { a, bs: places }: SharedInput,
  dys: readonly (Tensor | undefined)[],
  low: Tensor,
  scale: number,
): Tensor {
  const { recorder, inputs } = context;
  const rows = low.shape[0];
  const bs = places.map((place) => (place === undefined ? undefined : inputs[place]));
  const ranges = rangesOf(low, bs);
  const dLow = temporary(recorder, 'd lora', low.shape);
  if (bs.some((b, i) => b !== undefined && dys[i] === undefined)) recordFill(recorder, dLow, 0);
  bs.forEach((weight, i) => {
    const [dy, place, range] = [dys[i], places[i], ranges[i]];
    if (weight === undefined || place === undefined || dy === undefined) return;
    const product = { rows, weight, scale, accumulate: false, dy: dy.dtype, range };
    launchLinearBackwardInput(recorder, whole(dy), whole(dLow), product);
    launchWeightGradient(context, place, dy, low, range);
  });
  if (a !== undefined) launchWeightGradient(context, a, dLow, inputs[0]);
  return dLow;
}

/** dyᵀ x, of a range of columns of x. */
function launchWeightGradient(
  { recorder, inputs, needs, target }: GradientContext<unknown>,
  place: number,
  dy: Tensor,
  x: Tensor,
  range?: ColumnRange,
): void {
  if (!needs(place)) return;
  const { tensor, accumulate } = target(place);
  const product = {
    rows: x.shape[0],
    weight: tensor,
    scale: 1,
    accumulate,
    stored: inputs[place].dtype,
    x: x.dtype,
    dy: dy.dtype,
    range,
  };
  launchLinearBackwardWeight(recorder, whole(dy), whole(x), product);
}
