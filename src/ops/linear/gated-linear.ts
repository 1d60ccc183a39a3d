/**
 * gatedLinear: y = silu(x gᵀ) · (x uᵀ), the upper half of a feed-forward block. x [T, K], weights g, u [N, K], y [T, N].
 *
 * Where products go through shared memory, the second one's epilogue makes y: x uᵀ is written for the gradient and not read
 * again. With 16-bit weights both products are kept as f16 for it, the largest activations of a block at half their size.
 */
import type { GradientTarget, Op } from '../../autograd/op.ts';
import { type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import { launchSwiglu, launchSwigluBackward, swiglu } from '../elementwise/swiglu.ts';
import {
  launchLinear,
  launchLinearBackwardInput,
  launchLinearBackwardWeight,
  linear,
  takesEpilogue,
} from './linear.ts';

/** Inputs: x, the gate's weight, the up projection's weight. */
export const gatedLinear: Op<Readonly<Record<string, never>>> = {
  name: 'gated_linear',

  launch(recorder, [x, gateWeight, upWeight]) {
    const rows = x.shape[0];
    const shape = [rows, upWeight.shape[0]];
    const y = temporary(recorder, 'swiglu', shape);
    const isFused = [gateWeight, upWeight].every((weight) => takesEpilogue(recorder, weight, rows));
    const half = isFused && [gateWeight, upWeight].every(({ dtype }) => dtype === 'f16' || dtype === 'bf16');
    const gate = temporary(recorder, 'gate', shape, half ? 'f16' : 'f32');
    const up = temporary(recorder, 'up', shape, half ? 'f16' : 'f32');
    const product = (weight: Tensor) => ({ rows, weight, scale: 1, accumulate: false });
    launchLinear(recorder, whole(x), whole(gate), product(gateWeight), { half });
    const gated = isFused ? { gate: whole(gate), activation: whole(y) } : undefined;
    launchLinear(recorder, whole(x), whole(up), product(upWeight), { half, gated });
    if (!isFused) launchSwiglu(recorder, gate, up, y);
    return { outputs: [y], saved: [gate, up] };
  },

  // Gradients of gate and up as swiglu has them:   dx = dgate g + dup u,   dg = dgateᵀ x,   du = dupᵀ x
  gradient({ recorder, inputs: [x, ...weights], saved: [gate, up], outputGradients: [dy], needs, target }) {
    if (dy === undefined) return;
    const rows = x.shape[0];
    const { dGate, dUp } = launchSwigluBackward(recorder, gate, up, dy);
    const gradients = [dGate, dUp];
    if (needs(0)) {
      const { tensor, accumulate } = target(0);
      weights.forEach((weight, i) => {
        const product = { rows, weight, scale: 1, accumulate: accumulate || i > 0 };
        launchLinearBackwardInput(recorder, whole(gradients[i]), whole(tensor), product);
      });
    }
    gradients.forEach((gradient, i) => {
      if (needs(i + 1)) weightGradient(recorder, gradient, x, target(i + 1));
    });
  },

  reference([x, gateWeight, upWeight], _attributes, index) {
    const [gate] = linear.reference([x, gateWeight], {}, index);
    const [up] = linear.reference([x, upWeight], {}, index);
    return swiglu.reference([gate, up], {}, index);
  },
};

function weightGradient(recorder: Recorder, dy: Tensor, x: Tensor, { tensor, accumulate }: GradientTarget) {
  const product = { rows: x.shape[0], weight: tensor, scale: 1, accumulate };
  launchLinearBackwardWeight(recorder, whole(dy), whole(x), product);
}
