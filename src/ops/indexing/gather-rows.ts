/**
 * gather_rows: y[r] = x[rows[r]], the hidden states that predict response tokens. x [T, H], y [R, H].
 * A row may be taken several times: the last prompt token predicts the first token of every branch.
 */
import type { Op } from '../../autograd/op.ts';
import { elementCount, type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import { gridFor, workgroupSize } from '../launch.ts';

export interface GatherRowsAttributes {
  /** u32 [R]. */
  readonly rows: Tensor;
  /** u32 [T + 1] and [R]: rows of the result by their source (src/data/occurrences.ts). */
  readonly starts: Tensor;
  readonly picks: Tensor;
}

export const gatherRows: Op<GatherRowsAttributes> = {
  name: 'gather_rows',

  launch(recorder, [x], { rows }) {
    const width = x.shape[1];
    const y = temporary(recorder, 'gather_rows', [rows.shape[0], width]);
    recorder.launch({
      kernel: 'gather_rows_forward',
      constants: { WORKGROUP: workgroupSize(recorder) },
      overrides: { H: width },
      bindings: { x: whole(x), rows: whole(rows), y: whole(y) },
      grid: gridFor(recorder, elementCount(y.shape)),
    });
    return { outputs: [y] };
  },

  // dx[t] = sum over the rows r taken from t of dy[r]
  gradient({ recorder, inputs: [x], attributes: { starts, picks }, outputGradients: [dy], needs, target }) {
    if (dy === undefined || !needs(0)) return;
    const { tensor, accumulate } = target(0);
    recorder.launch({
      kernel: 'gather_rows_backward',
      conditions: { ACCUMULATE: accumulate },
      constants: { WORKGROUP: workgroupSize(recorder) },
      overrides: { H: x.shape[1] },
      bindings: { starts: whole(starts), picks: whole(picks), dy: whole(dy), dx: whole(tensor) },
      grid: gridFor(recorder, elementCount(x.shape)),
    });
  },

  reference([x], { rows }, index) {
    const width = x.shape[1];
    const sources = index(rows);
    const data = new Float64Array(sources.length * width);
    sources.forEach((t, r) => {
      data.set(x.data.subarray(t * width, (t + 1) * width), r * width);
    });
    return [{ shape: [sources.length, width], data }];
  },
};
