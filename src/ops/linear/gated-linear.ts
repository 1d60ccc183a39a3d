/**
 * gatedLinear: y = f(x gᵀ) · (x uᵀ), f silu or GELU, the upper half of a feed-forward block. x [T, K], weights g, u [N, K], y [T, N].
 *
 * Where products go through shared memory, the second one's epilogue makes y: x uᵀ is written for the gradient and not read
 * again. With 16-bit weights both products are kept as f16 for it, the largest activations of a block at half their size
 * (and divided by 256, since those of a model that was trained in bf16 may exceed 65504). Few rows whose loads are shared
 * (decoding) take both products in one dispatch, and keep neither.
 */
import type { GradientTarget, Op } from '../../autograd/op.ts';
import { type DType, type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import { type GluAttributes, glu, launchGlu, launchGluBackward } from '../elementwise/glu.ts';
import { sharesRows } from '../launch.ts';
import {
  launchLinear,
  launchLinearBackwardInput,
  launchLinearBackwardWeight,
  linear,
  takesEpilogue,
} from './linear.ts';

/** Inputs: x, the gate's weight, the up projection's weight. */
export const gatedLinear: Op<GluAttributes> = {
  name: 'gated_linear',

  launch(recorder, [x, gateWeight, upWeight], attributes) {
    const rows = x.shape[0];
    const shape = [rows, upWeight.shape[0]];
    const y = temporary(recorder, 'glu', shape, attributes.half ? 'f16' : 'f32');
    if (takesPairs(recorder, gateWeight, upWeight)) {
      const paired = { gateWeight, ...attributes };
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
    const half = isFused && [gateWeight, upWeight].every(({ dtype }) => dtype === 'f16' || dtype === 'bf16');
    const gate = temporary(recorder, 'gate', shape, half ? 'f16' : 'f32');
    const up = temporary(recorder, 'up', shape, half ? 'f16' : 'f32');
    const product = (weight: Tensor) => ({ rows, weight, scale: 1, accumulate: false, x: x.dtype });
    launchLinear(recorder, whole(x), whole(gate), product(gateWeight), { half });
    const gated = isFused ? { gate: whole(gate), y: whole(y), ...attributes } : undefined;
    launchLinear(recorder, whole(x), whole(up), product(upWeight), { half, gated });
    if (!isFused) launchGlu(recorder, [gate, up, y], attributes);
    return { outputs: [y], saved: [gate, up] };
  },

  // Gradients of gate and up as glu has them:   dx = dgate g + dup u,   dg = dgateᵀ x,   du = dupᵀ x
  gradient({
    recorder,
    inputs: [x, ...weights],
    saved: [gate, up],
    outputGradients: [dy],
    attributes,
    needs,
    target,
  }) {
    if (dy === undefined) return;
    const rows = x.shape[0];
    const { dGate, dUp } = launchGluBackward(recorder, [gate, up, dy], attributes);
    const gradients = [dGate, dUp];
    if (needs(0)) {
      const { tensor, accumulate } = target(0);
      weights.forEach((weight, i) => {
        const product = { rows, weight, scale: 1, accumulate: accumulate || i > 0 };
        launchLinearBackwardInput(recorder, whole(gradients[i]), whole(tensor), product);
      });
    }
    gradients.forEach((gradient, i) => {
      if (needs(i + 1)) weightGradient(recorder, gradient, x, target(i + 1), weights[i].dtype);
    });
  },

  reference([x, gateWeight, upWeight], attributes, index) {
    const [gate] = linear.reference([x, gateWeight], {}, index);
    const [up] = linear.reference([x, upWeight], {}, index);
    return glu.reference([gate, up], attributes, index);
  },
};

/** Whether one dispatch makes both products. What it makes has no gradient, as decoding needs none. */
function takesPairs(recorder: Recorder, gate: Tensor, up: Tensor): boolean {
  return (
    recorder.hasFewRows &&
    sharesRows(recorder) &&
    gate.dtype === up.dtype &&
    [gate, up].every((weight) => weight.shards.length === 1 && weight.shape.every((n) => n % 4 === 0))
  );
}

function weightGradient(
  recorder: Recorder,
  dy: Tensor,
  x: Tensor,
  { tensor, accumulate }: GradientTarget,
  stored: DType,
): void {
  const product = { rows: x.shape[0], weight: tensor, scale: 1, accumulate, stored, x: x.dtype };
  launchLinearBackwardWeight(recorder, whole(dy), whole(x), product);
}
