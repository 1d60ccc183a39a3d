/**
 * loraStack: y_i = x w_iᵀ + scale (x a_iᵀ) b_iᵀ (+ bias_i), several products of one x with LoRA pairs, as q, k and v are. x [T, K],
 * w_i [N_i, K], b_i [N_i, R_i], y_i [T, N_i]; a [R, K] is all a_i one after the other (shared-input.ts).
 */
import type { Op } from '../../autograd/op.ts';
import { temporary, whole } from '../../autograd/tensor.ts';
import type { RotaryAttributes } from '../elementwise/rotary.ts';
import { addedOf, launchLinear, passToAdded, turnedBack } from './linear.ts';
import { loraLinear } from './lora-linear.ts';
import { launchLow, launchSharedGradients, lowRanksOf, type SharedInput } from './shared-input.ts';

export interface LoraStackAttributes {
  /** alpha / r, of all pairs. */
  readonly scale: number;
  /** For each product what turns the heads of its result, bias included. */
  readonly rotaries: readonly (RotaryAttributes | undefined)[];
}

/** Inputs: x, a, all w, all b, and the biases [N_i] of all products or of none. */
export const loraStack: Op<LoraStackAttributes> = {
  name: 'lora_stack',

  launch(recorder, inputs, attributes) {
    const [x, a] = inputs;
    const { weights, bs, biases } = partsOf(inputs, attributes);
    const rows = x.shape[0];
    const low = launchLow(recorder, x, a, attributes.scale);
    const lowRanks = lowRanksOf(low, bs);
    const outputs = weights.map((weight, i) => {
      const y = temporary(recorder, 'linear', [rows, weight.shape[0]]);
      const product = { rows, weight, scale: 1, accumulate: false, x: x.dtype };
      const extras = { added: addedOf(biases[i]), lowRank: lowRanks[i], rotary: attributes.rotaries[i] };
      launchLinear(recorder, whole(x), whole(y), product, extras);
      return y;
    });
    return { outputs, saved: [low] };
  },

  gradient(context) {
    const { recorder, attributes, outputGradients, saved } = context;
    const { rotaries, scale } = attributes;
    const dys = outputGradients.map((dy, i) => dy && turnedBack(recorder, dy, rotaries[i]));
    launchSharedGradients(context, placesOf(rotaries.length), dys, { low: saved[0], scale });
    dys.forEach((dy, i) => {
      if (dy !== undefined) passToAdded(context, 2 + 2 * rotaries.length + i, dy);
    });
  },

  reference(inputs, attributes, index) {
    const [x, a] = inputs;
    const { weights, bs, biases } = partsOf(inputs, attributes);
    let first = 0;
    return weights.map((weight, i) => {
      const rank = bs[i].shape[1];
      const own = a.data.subarray(first * a.shape[1], (first + rank) * a.shape[1]);
      first += rank;
      const pair = [x, weight, { shape: [rank, a.shape[1]], data: own }, bs[i]];
      const added = biases[i] === undefined ? [] : [biases[i]];
      const { scale, rotaries } = attributes;
      return loraLinear.reference([...pair, ...added], { scale, rotary: rotaries[i] }, index)[0];
    });
  },
};

function partsOf<T>(inputs: readonly T[], { rotaries: { length: products } }: LoraStackAttributes) {
  const nth = (n: number) => inputs.slice(2 + n * products, 2 + (n + 1) * products);
  return { weights: nth(0), bs: nth(1), biases: nth(2) };
}

function placesOf(products: number): SharedInput {
  const from = (first: number) => Array.from({ length: products }, (_, i) => first + i);
  return { weights: from(2), a: 1, bs: from(2 + products) };
}
