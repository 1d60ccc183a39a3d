/** Rows of a micro-batch to or from their place among the rows of the whole step. */
import { type Tensor, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import { gridFor, workgroupSize } from '../launch.ts';

/** Where a micro-batch's rows lie among those of its step. */
interface MicroBatchRows {
  /** f32 [rows of the micro-batch]. */
  readonly rows: Tensor;
  /** f32 [rows of the step]. */
  readonly step: Tensor;
  /** u32 [2]: first row, number of rows. */
  readonly place: Tensor;
}

/** @param direction 'gather': rows from the step; 'scatter': rows into the step */
export function recordMicroBatchSlice(
  recorder: Recorder,
  { rows, step, place }: MicroBatchRows,
  direction: 'gather' | 'scatter',
): void {
  recorder.launch({
    kernel: 'micro_batch_slice',
    conditions: { OUT: direction === 'scatter' },
    constants: { WORKGROUP: workgroupSize(recorder) },
    bindings: { rows: whole(rows), step: whole(step), place: whole(place) },
    grid: gridFor(recorder, rows.shape[0]),
  });
}
