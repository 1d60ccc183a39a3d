/**
 * gatedLinear: y = f(x gᵀ) · (x uᵀ), f silu or GELU, the upper half of a feed-forward block. x [T, K], weights g, u [N, K], y [T, N].
 * Either product may have a LoRA pair (shared-input.ts), where `gatesPairs` says so.
 *
 * Where products go through shared memory, the second one's epilogue makes y: x uᵀ is written for the gradient and not read
 * again. With weights of 16 bits or fewer both products are kept as f16 for it, the largest activations of a block at half their size
 * (and divided by 256, since those of a model that was trained in bf16 may exceed 65504). Few rows whose loads are shared
 * (decoding) take both products in one dispatch, and keep neither.
 */
import type { Op } from '../../autograd/op.ts';
import { type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import { type GluAttributes, glu, launchGlu, launchGluBackward } from '../elementwise/glu.ts';
import { sharesRows, takesWorkgroups } from '../launch.ts';
import { fusesPair, launchLinear, linear, takesEpilogue } from './linear.ts';
import { loraLinear } from './lora-linear.ts';
import {
  launchLow,
  launchSharedGradients,
  lowRanksOf,
  type SharedInput,
  stagesGradients,
} from './shared-input.ts';

export interface GatedAttributes extends GluAttributes {
  /** Which products have LoRA pairs, and alpha / r of them. Default: neither. */
  readonly pairs?: { readonly gate: boolean; readonly up: boolean; readonly scale: number } | undefined;
}

/**
 * Inputs: x, the gate's weight, the up projection's weight; and with pairs, their A one after the other, the gate's B if it
 * has one, and the up projection's.
 */
export const gatedLinear: Op<GatedAttributes> = {
  name: 'gated_linear',

  launch(recorder, inputs, attributes) {
    const [x, gateWeight, upWeight, a] = inputs;
    const { pairs, ...activation } = attributes;
    const rows = x.shape[0];
    const shape = [rows, upWeight.shape[0]];
    const y = temporary(recorder, 'glu', shape, attributes.half ? 'f16' : 'f32');
    if (pairs === undefined && makesBoth(recorder, gateWeight, upWeight)) {
      const paired = { gateWeight, ...activation };
      launchLinear(
        recorder,
        whole(x),
        whole(y),
        { rows, weight: upWeight, scale: 1, accumulate: false },
        { paired },
      );
      return { outputs: [y] };
    }
    const isFused = [gateWeight, upWeight].every((weight) => takesEpilogue(recorder, weight, rows));
    const half = isFused && [gateWeight, upWeight].every(({ dtype }) => dtype !== 'f32');
    const gate = temporary(recorder, 'gate', shape, half ? 'f16' : 'f32');
    const up = temporary(recorder, 'up', shape, half ? 'f16' : 'f32');
    const product = (weight: Tensor) => ({ rows, weight, scale: 1, accumulate: false, x: x.dtype });
    const low = pairs && launchLow(recorder, x, a, pairs.scale);
    const bs = placesOf(attributes).bs.map((place) => (place === undefined ? undefined : inputs[place]));
    const [gateRank, upRank] = low === undefined ? [] : lowRanksOf(low, bs);
    launchLinear(recorder, whole(x), whole(gate), product(gateWeight), { half, lowRank: gateRank });
    const gated = isFused ? { gate: whole(gate), y: whole(y), ...activation } : undefined;
    launchLinear(recorder, whole(x), whole(up), product(upWeight), { half, gated, lowRank: upRank });
    if (!isFused) launchGlu(recorder, [gate, up, y], activation);
    return { outputs: [y], saved: low === undefined ? [gate, up] : [gate, up, low] };
  },

  // Gradients of gate and up as glu has them, the others as shared-input.ts.
  gradient(context) {
    const {
      recorder,
      saved: [gate, up, low],
      outputGradients: [dy],
      attributes,
    } = context;
    if (dy === undefined) return;
    const places = placesOf(attributes);
    const half = stagesGradients(context, places);
    const { dGate, dUp } = launchGluBackward(recorder, [gate, up, dy], attributes, half);
    const pairs = attributes.pairs && { low, scale: attributes.pairs.scale };
    launchSharedGradients(context, places, [dGate, dUp], pairs);
  },

  reference(inputs, attributes, index) {
    const [x, gateWeight, upWeight, a] = inputs;
    const { bs } = placesOf(attributes);
    let first = 0;
    const products = [gateWeight, upWeight].map((weight, i) => {
      const place = bs[i];
      if (place === undefined) return linear.reference([x, weight], {}, index)[0];
      const [rank, inner] = [inputs[place].shape[1], x.shape[1]];
      const own = { shape: [rank, inner], data: a.data.subarray(first * inner, (first + rank) * inner) };
      first += rank;
      return loraLinear.reference(
        [x, weight, own, inputs[place]],
        { scale: attributes.pairs?.scale },
        index,
      )[0];
    });
    return glu.reference(products, attributes, index);
  },
};

function placesOf({ pairs }: GatedAttributes): SharedInput {
  const gate = pairs?.gate ? 4 : undefined;
  const up = pairs?.up ? (gate ?? 3) + 1 : undefined;
  return { weights: [1, 2], a: pairs && 3, bs: [gate, up] };
}

/** A weight and the B of its pair, if it has one. */
interface PairedWeight {
  readonly weight: Tensor;
  readonly b: Tensor | undefined;
}

/** Storage buffers of a product with a pair and the epilogue; scales of quantized weights are one more. */
const BINDINGS = 8;

/**
 * Whether both products take their pairs and the epilogue. Does not depend on whether pairs are switched on: a reference
 * without them then rounds as the policy does.
 */
export function gatesPairs(recorder: Recorder, tokens: number, products: readonly PairedWeight[]): boolean {
  const { maxStorageBuffersPerShaderStage: most } = recorder.gpu.device.limits;
  return products.every(
    ({ weight, b }) =>
      takesEpilogue(recorder, weight, tokens) &&
      BINDINGS + (weight.scales === undefined ? 0 : 1) <= most &&
      (!recorder.hasFewRows || takesWorkgroups(recorder)) &&
      (b === undefined || fusesPair(recorder, tokens, weight, b)),
  );
}

/** Whether one dispatch makes both products. What it makes has no gradient, as decoding needs none. */
function makesBoth(recorder: Recorder, gate: Tensor, up: Tensor): boolean {
  return (
    recorder.hasFewRows &&
    sharesRows(recorder) &&
    gate.dtype === up.dtype &&
    [gate, up].every((weight) => weight.shards.length === 1 && weight.shape.every((n) => n % 4 === 0))
  );
}
