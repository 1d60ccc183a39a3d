/**
 * rotary: rotary position embedding in Hugging Face's half-split order. x [T, heads * headDim].
 *
 *   y[d] = x[d] cos - x[d + D] sin,   y[d + D] = x[d + D] cos + x[d] sin,   D = headDim / 2, angle = position * frequency[d]
 */
import type { Op } from '../../autograd/op.ts';
import { type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Slice } from '../../gpu/memory.ts';
import type { Recorder } from '../../gpu/program.ts';
import { streamLaunch } from '../launch.ts';

export interface RotaryAttributes {
  /** u32 [T]. */
  readonly positions: Tensor;
  /** f32 [positions, headDim / 2, 2]: cos and sin, made on the host (src/nn/rotary-table.ts). */
  readonly table: Tensor;
  /** The same values in f64, for the plain reference: frequency of each pair. */
  readonly frequencies: Float64Array;
  readonly headDim: number;
}

export const rotary: Op<RotaryAttributes> = {
  name: 'rotary',

  launch(recorder, [x], attributes) {
    const y = temporary(recorder, 'rotary', x.shape);
    launchRotary(recorder, whole(x), whole(y), x.shape[1], attributes);
    return { outputs: [y] };
  },

  // The turn is orthogonal: its gradient turns back.
  gradient({ recorder, attributes, outputGradients: [dy], needs, target }) {
    if (dy === undefined || !needs(0)) return;
    const { tensor, accumulate } = target(0);
    launchRotary(recorder, whole(dy), whole(tensor), dy.shape[1], attributes, { direction: -1, accumulate });
  },

  reference([x], { positions, frequencies, headDim }, index) {
    const [tokens, width] = x.shape;
    const half = headDim / 2;
    const data = new Float64Array(x.data.length);
    index(positions).forEach((position, t) => {
      if (t >= tokens) return;
      for (let start = t * width; start < (t + 1) * width; start += headDim) {
        for (let d = 0; d < half; d++) {
          const [cos, sin] = [Math.cos(position * frequencies[d]), Math.sin(position * frequencies[d])];
          data[start + d] = x.data[start + d] * cos - x.data[start + half + d] * sin;
          data[start + half + d] = x.data[start + half + d] * cos + x.data[start + d] * sin;
        }
      }
    });
    return [{ shape: x.shape, data }];
  },
};

/** y (+)= x turned by the angles of its rows, or back by them; x, y [T, width]. */
export function launchRotary(
  recorder: Recorder,
  x: Slice,
  y: Slice,
  width: number,
  { positions, table, headDim }: RotaryAttributes,
  { direction = 1, accumulate = false }: { direction?: 1 | -1; accumulate?: boolean } = {},
): void {
  const D = headDim / 2;
  const VEC4 = D % 4 === 0;
  recorder.launch({
    kernel: 'rotary',
    conditions: { ACCUMULATE: accumulate, VEC4 },
    ...streamLaunch(recorder, x.byteLength / 4 / 2 / (VEC4 ? 4 : 1)),
    overrides: { HEADS: width / headDim, D, DIRECTION: direction },
    bindings: { x, positions: whole(positions), table: whole(table), y },
  });
}
