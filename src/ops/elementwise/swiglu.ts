/** swiglu: y = silu(gate) · up, element by element. */
import type { Op } from '../../autograd/op.ts';
import { elementCount, type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Dispatch, Recorder } from '../../gpu/program.ts';
import { gridFor, workgroupSize } from '../launch.ts';

export const swiglu: Op<Readonly<Record<string, never>>> = {
  name: 'swiglu',

  launch(recorder, [gate, up]) {
    const y = temporary(recorder, 'swiglu', gate.shape);
    launchSwiglu(recorder, gate, up, y);
    return { outputs: [y] };
  },

  // s = sigmoid(g):   dg = dy u s (1 + g (1 - s)),   du = dy g s
  gradient({ recorder, inputs: [gate, up], outputGradients: [dy], pass }) {
    if (dy === undefined) return;
    const { dGate, dUp } = launchSwigluBackward(recorder, gate, up, dy);
    pass(0, dGate);
    pass(1, dUp);
  },

  reference([gate, up]) {
    return [{ shape: gate.shape, data: gate.data.map((g, i) => (g / (1 + Math.exp(-g))) * up.data[i]) }];
  },
};

/** y = silu(gate) · up. */
export function launchSwiglu(recorder: Recorder, gate: Tensor, up: Tensor, y: Tensor): void {
  recorder.dispatch({
    ...elementwise(recorder, 'swiglu_forward', elementCount(gate.shape)),
    bindings: [gate, up, y].map(whole),
  });
}

/** Temporaries with the gradients of gate and up, which are f32, or both f16. */
export function launchSwigluBackward(
  recorder: Recorder,
  gate: Tensor,
  up: Tensor,
  dy: Tensor,
): { dGate: Tensor; dUp: Tensor } {
  const dGate = temporary(recorder, 'd gate', gate.shape);
  const dUp = temporary(recorder, 'd up', up.shape);
  recorder.dispatch({
    ...elementwise(recorder, 'swiglu_backward', elementCount(gate.shape), { HALF: gate.dtype === 'f16' }),
    bindings: [gate, up, dy, dGate, dUp].map(whole),
  });
  return { dGate, dUp };
}

/** Four elements to an invocation wherever the count allows it. */
function elementwise(
  recorder: Recorder,
  kernel: string,
  count: number,
  conditions: Readonly<Record<string, boolean>> = {},
): Omit<Dispatch, 'bindings'> {
  const VEC4 = count % 4 === 0;
  return {
    label: kernel,
    kernel,
    conditions: { VEC4, ...conditions },
    constants: { WORKGROUP: workgroupSize(recorder) },
    grid: gridFor(recorder, VEC4 ? count / 4 : count),
  };
}
