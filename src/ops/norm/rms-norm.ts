/** rms_norm: y = x / sqrt(mean(x²) + eps) · w, row by row. x [T, H], w [H] in f32. */
import type { Op } from '../../autograd/op.ts';
import { temporary, whole } from '../../autograd/tensor.ts';
import { gridFor, rowLaunch, workgroupSize } from '../launch.ts';

export interface RmsNormAttributes {
  readonly eps: number;
}

/** Runs of tokens whose weight gradients are summed apart; fixed, so that sums have one order. */
const SPLITS = 32;

export const rmsNorm: Op<RmsNormAttributes> = {
  name: 'rms_norm',

  launch(recorder, [x, w], { eps }) {
    const [rows, width] = x.shape;
    const y = temporary(recorder, 'rms_norm', x.shape);
    const r = temporary(recorder, 'rms_norm 1/rms', [rows]);
    const { conditions, ...rowwise } = rowLaunch(recorder, rows);
    recorder.launch({
      kernel: 'rms_norm_forward',
      conditions: { ...conditions, VEC4: width % 4 === 0 },
      ...rowwise,
      overrides: { EPS: eps },
      bindings: { x: whole(x), w: whole(w), y: whole(y), r: whole(r) },
    });
    return { outputs: [y], saved: [r] };
  },

  // n = x r:   dx = r (dy w - n mean(dy w n)),   dw = sum_t dy n
  gradient({ recorder, inputs: [x, w], saved: [r], outputGradients: [dy], needs, target }) {
    if (dy === undefined) return;
    const [rows, width] = x.shape;
    const constants = { WORKGROUP: workgroupSize(recorder) };
    if (needs(0)) {
      const { tensor, accumulate } = target(0);
      const { conditions, ...rowwise } = rowLaunch(recorder, rows);
      recorder.launch({
        kernel: 'rms_norm_backward_input',
        conditions: { ...conditions, VEC4: width % 4 === 0, ACCUMULATE: accumulate },
        ...rowwise,
        bindings: { x: whole(x), w: whole(w), r: whole(r), dy: whole(dy), dx: whole(tensor) },
      });
    }
    if (needs(1)) {
      const { tensor, accumulate } = target(1);
      const partial = temporary(recorder, 'd rms_norm weight, in runs', [SPLITS, width]);
      recorder.launch({
        kernel: 'rms_norm_backward_weight',
        constants,
        overrides: { H: width, SPLITS },
        bindings: { x: whole(x), r: whole(r), dy: whole(dy), partial: whole(partial) },
        grid: gridFor(recorder, SPLITS * width),
      });
      recorder.launch({
        kernel: 'column_sum',
        conditions: { ACCUMULATE: accumulate },
        constants,
        overrides: { H: width },
        bindings: { x: whole(partial), y: whole(tensor) },
        grid: gridFor(recorder, width),
      });
    }
  },

  reference([x, w], { eps }) {
    const [rows, width] = x.shape;
    const data = new Float64Array(rows * width);
    for (let t = 0; t < rows; t++) {
      const row = x.data.subarray(t * width, (t + 1) * width);
      const scale = 1 / Math.sqrt(row.reduce((sum, v) => sum + v * v, 0) / width + eps);
      for (let h = 0; h < width; h++) data[t * width + h] = row[h] * scale * w.data[h];
    }
    return [{ shape: x.shape, data }];
  },
};
