/**
 * glu: y = f(gate) · up, element by element, with f(x) = x s.
 *
 *   silu: s = sigmoid(x) (SwiGLU)     gelu_tanh: s = sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x³) (GeGLU)
 */
import type { Op } from '../../autograd/op.ts';
import { elementCount, type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import { streamLaunch } from '../launch.ts';

/** By the names of PyTorch and transformers. */
export type Activation = 'silu' | 'gelu_tanh';

export interface GluAttributes {
  /** Default 'silu'. */
  readonly activation?: Activation;
  /** Makes y in f16 as `half_input` does, for a product that stages it so anyway (`stagesInputs`). Rows are multiples of 4 then. */
  readonly half?: boolean;
}

export const glu: Op<GluAttributes> = {
  name: 'glu',

  launch(recorder, [gate, up], attributes) {
    const y = temporary(recorder, 'glu', gate.shape, attributes.half ? 'f16' : 'f32');
    launchGlu(recorder, [gate, up, y], attributes);
    return { outputs: [y] };
  },

  // dg = dy u f'(g),   du = dy f(g),   f'(g) = s (1 + g w'(g) (1 - s)) with s = sigmoid(w(g))
  gradient({ recorder, inputs: [gate, up], attributes, outputGradients: [dy], pass }) {
    if (dy === undefined) return;
    const { dGate, dUp } = launchGluBackward(recorder, [gate, up, dy], attributes);
    pass(0, dGate);
    pass(1, dUp);
  },

  reference([gate, up], { activation = 'silu' }) {
    const f = activation === 'silu' ? silu : geluTanh;
    return [{ shape: gate.shape, data: gate.data.map((g, i) => f(g) * up.data[i]) }];
  },
};

function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** As PyTorch writes it: F.gelu(x, approximate='tanh'). */
function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/** y = f(gate) · up. */
export function launchGlu(
  recorder: Recorder,
  [gate, up, y]: readonly [gate: Tensor, up: Tensor, y: Tensor],
  attributes: GluAttributes,
): void {
  const { VEC4, ...shape } = elementwise(recorder, elementCount(gate.shape));
  recorder.launch({
    kernel: 'glu_forward',
    conditions: { VEC4, HALF: y.dtype === 'f16', ...activationConditions(attributes) },
    ...shape,
    bindings: { gate: whole(gate), up: whole(up), y: whole(y) },
  });
}

/**
 * Temporaries with the gradients of gate and up, which are f32, or both f16 as `gatedLinear` keeps them.
 * @param half makes them in f16 as `half_gradient` does (kernels/shared/half.wgsl), for products alone that stage them so anyway
 */
export function launchGluBackward(
  recorder: Recorder,
  [gate, up, dy]: readonly [gate: Tensor, up: Tensor, dy: Tensor],
  attributes: GluAttributes,
  half = false,
): { dGate: Tensor; dUp: Tensor } {
  const dtype = half ? 'f16' : 'f32';
  const dGate = temporary(recorder, 'd gate', gate.shape, dtype);
  const dUp = temporary(recorder, 'd up', up.shape, dtype);
  const { VEC4, ...shape } = elementwise(recorder, elementCount(gate.shape));
  recorder.launch({
    kernel: 'glu_backward',
    conditions: {
      VEC4,
      HALF: gate.dtype === 'f16',
      GRADIENT_HALF: half,
      ...activationConditions(attributes),
    },
    ...shape,
    bindings: {
      gate: whole(gate),
      up: whole(up),
      dy: whole(dy),
      dgate: whole(dGate),
      dup: whole(dUp),
    },
  });
  return { dGate, dUp };
}

/** What kernels with an activation are compiled for. */
export function activationConditions({ activation }: GluAttributes) {
  return { GELU: activation === 'gelu_tanh' };
}

/** In vec4s wherever the count allows it. */
function elementwise(recorder: Recorder, count: number) {
  const VEC4 = count % 4 === 0;
  return { VEC4, ...streamLaunch(recorder, VEC4 ? count / 4 : count) };
}
