/**
 * segment_sum: sequence log-likelihoods and the like: y[p] = sum over the rows r of answer p of (w[r]) x[r].
 * x [R], w [R] (a constant), segments u32 [P, 2], y [P]. Segments do not overlap.
 */
import type { Op } from '../../autograd/op.ts';
import { type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import { recordFill } from '../elementwise/fill.ts';
import { gridFor, workgroupSize } from '../launch.ts';

export interface SegmentSumAttributes {
  readonly segments: Tensor;
  /** Constant token weights. */
  readonly weights?: Tensor;
}

export const segmentSum: Op<SegmentSumAttributes> = {
  name: 'segment_sum',

  launch(recorder, [x], { segments, weights }) {
    const y = temporary(recorder, 'segment_sum', [segments.shape[0]]);
    recorder.launch({
      kernel: 'segment_sum_forward',
      conditions: { WEIGHTED: weights !== undefined },
      constants: { WORKGROUP: workgroupSize(recorder) },
      bindings: {
        x: whole(x),
        segments: whole(segments),
        y: whole(y),
        weights: weights && whole(weights),
      },
      grid: gridFor(recorder, segments.shape[0]),
    });
    return { outputs: [y] };
  },

  // dx[r] = w[r] dy[p] for the rows of segment p, 0 elsewhere
  gradient({ recorder, attributes: { segments, weights }, outputGradients: [dy], needs, target }) {
    if (dy === undefined || !needs(0)) return;
    const { tensor, accumulate } = target(0);
    if (!accumulate) recordFill(recorder, tensor, 0);
    addSegmentValues(recorder, dy, segments, tensor, weights);
  },

  reference([x], { segments, weights }, index) {
    if (weights !== undefined) throw new RangeError('The plain reference of segment_sum takes no weights.');
    const bounds = index(segments);
    const data = Float64Array.from({ length: bounds.length / 2 }, (_, p) =>
      x.data.subarray(bounds[2 * p], bounds[2 * p + 1]).reduce((sum, v) => sum + v, 0),
    );
    return [{ shape: [data.length], data }];
  },
};

/** into[r] += (w[r]) values[p] for the rows r of segment p. */
export function addSegmentValues(
  recorder: Recorder,
  values: Tensor,
  segments: Tensor,
  into: Tensor,
  weights?: Tensor,
): void {
  recorder.launch({
    kernel: 'segment_sum_backward',
    conditions: { WEIGHTED: weights !== undefined },
    constants: { WORKGROUP: workgroupSize(recorder) },
    bindings: {
      dy: whole(values),
      segments: whole(segments),
      dx: whole(into),
      weights: weights && whole(weights),
    },
    grid: gridFor(recorder, segments.shape[0]),
  });
}
