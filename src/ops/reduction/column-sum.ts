/** column_sum: y[h] (+)= sum over t of x[t, h]. */
import type { GradientTarget } from '../../autograd/op.ts';
import { rowLength, type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Slice } from '../../gpu/memory.ts';
import type { Recorder } from '../../gpu/program.ts';
import { gridFor, workgroupSize } from '../launch.ts';

/** Runs that the rows of a tall matrix are cut into, each summed apart; fixed, so that sums have one order. */
const RUNS = 32;

/** Sums the rows of x [T, ...], of which there may be many, into the target [...]. */
export function recordColumnSum(recorder: Recorder, x: Tensor, { tensor, accumulate }: GradientTarget): void {
  const width = rowLength(x.shape);
  const partial = temporary(recorder, `${tensor.label}, in runs`, [RUNS, width]);
  launchColumnSum(recorder, whole(x), whole(partial), { width, runs: RUNS, accumulate: false });
  launchColumnSum(recorder, whole(partial), whole(tensor), { width, runs: 1, accumulate });
}

/** y [runs, width] (+)= the sums of runs of rows of x. */
export function launchColumnSum(
  recorder: Recorder,
  x: Slice,
  y: Slice,
  { width, runs, accumulate }: { width: number; runs: number; accumulate: boolean },
): void {
  recorder.launch({
    kernel: 'column_sum',
    conditions: { ACCUMULATE: accumulate },
    constants: { WORKGROUP: workgroupSize(recorder) },
    overrides: { H: width, RUNS: runs },
    bindings: { x, y },
    grid: gridFor(recorder, runs * width),
  });
}
