/** column_sum: y[h] (+)= sum over t of x[t, h]. */
import type { GradientTarget } from '../../autograd/op.ts';
import { rowLength, type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Slice } from '../../gpu/memory.ts';
import type { Recorder } from '../../gpu/program.ts';
import { constantsOnGpu } from '../constants.ts';
import { gridFor, workgroupSize } from '../launch.ts';

/** Parts that the rows of a tall matrix are cut into, each summed apart; fixed, so that sums have one order. */
const SPLITS = 32;

/** Sums the rows of x [T, ...], of which there may be many, into the target [...]. */
export function recordColumnSum(recorder: Recorder, x: Tensor, { tensor, accumulate }: GradientTarget): void {
  const width = rowLength(x.shape);
  const partial = temporary(recorder, `${tensor.label}, in parts`, [SPLITS, width]);
  launchColumnSum(recorder, whole(x), whole(partial), { width, splits: SPLITS, accumulate: false });
  launchColumnSum(recorder, whole(partial), whole(tensor), { width, splits: 1, accumulate });
}

/** y [splits, width] (+)= the sums of x's rows, of which each part takes as many. */
export function launchColumnSum(
  recorder: Recorder,
  x: Slice,
  y: Slice,
  { width, splits, accumulate }: { width: number; splits: number; accumulate: boolean },
): void {
  recorder.launch({
    kernel: 'column_sum',
    conditions: { ACCUMULATE: accumulate },
    constants: { WORKGROUP: workgroupSize(recorder) },
    bindings: { x, y, sizes: constantsOnGpu(recorder.gpu, Uint32Array.of(width, splits)) },
    grid: gridFor(recorder, splits * width),
  });
}
