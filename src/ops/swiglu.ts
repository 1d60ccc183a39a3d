/** swiglu: y = silu(gate) · up, element by element. */
import type { Op } from '../autograd/op.ts';
import { elementCount, temporary, whole } from '../autograd/tensor.ts';
import { gridFor, workgroupSize } from './launch.ts';

export const swiglu: Op<Readonly<Record<string, never>>> = {
  name: 'swiglu',

  launch(recorder, [gate, up]) {
    const y = temporary(recorder, 'swiglu', gate.shape);
    recorder.dispatch({
      label: 'swiglu_forward',
      kernel: 'swiglu_forward',
      constants: { WORKGROUP: workgroupSize(recorder) },
      bindings: [gate, up, y].map(whole),
      grid: gridFor(recorder, elementCount(gate.shape)),
    });
    return { outputs: [y] };
  },

  // s = sigmoid(g):   dg = dy u s (1 + g (1 - s)),   du = dy g s
  gradient({ recorder, inputs: [gate, up], outputGradients: [dy], pass }) {
    if (dy === undefined) return;
    const dGate = temporary(recorder, 'd gate', gate.shape);
    const dUp = temporary(recorder, 'd up', up.shape);
    recorder.dispatch({
      label: 'swiglu_backward',
      kernel: 'swiglu_backward',
      constants: { WORKGROUP: workgroupSize(recorder) },
      bindings: [gate, up, dy, dGate, dUp].map(whole),
      grid: gridFor(recorder, elementCount(gate.shape)),
    });
    pass(0, dGate);
    pass(1, dUp);
  },

  reference([gate, up]) {
    return [{ shape: gate.shape, data: gate.data.map((g, i) => (g / (1 + Math.exp(-g))) * up.data[i]) }];
  },
};
