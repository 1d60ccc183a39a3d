/** The global gradient norm and clipping to it, as torch.nn.utils.clip_grad_norm_. */
import { elementCount, type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import { gridFor, workgroupSize } from '../launch.ts';
import { launchColumnSum } from '../reduction/column-sum.ts';

/** Partial sums of squares are kept in rows of this many. */
const COLUMNS = 256;

/** Rows of partial sums for a gradient: one for every 2^16 elements, at most 256. Depends on nothing else, as the bits do. */
function partialRows(gradient: Tensor): number {
  return Math.min(256, Math.ceil(elementCount(gradient.shape) / 2 ** 16));
}

/**
 * Records the norm over all gradients together: squares of each to rows of partial sums, rows to one row, that row to the
 * norm; always in the same order.
 * @param gradients f32, one shard each
 * @param maxNorm global norm to clip gradients to; 0 clips nothing
 * @param norm f32 [4], overwritten: norm, clip scale, 1 while every norm so far was finite, and 1 once one was not
 */
export function recordGradientNorm(
  recorder: Recorder,
  gradients: readonly Tensor[],
  maxNorm: number,
  norm: Tensor,
): void {
  const constants = { WORKGROUP: workgroupSize(recorder) };
  const rows = gradients.reduce((sum, gradient) => sum + partialRows(gradient), 0);
  const partial = temporary(recorder, 'sums of squares', [rows, COLUMNS]);
  const sums = temporary(recorder, 'sums of squares by column', [COLUMNS]);
  let row = 0;
  for (const gradient of gradients) {
    const splits = partialRows(gradient) * COLUMNS;
    recorder.launch({
      kernel: 'gradient_norm_partial',
      constants,
      bindings: {
        gradient: whole(gradient),
        partial: { ...whole(partial), byteOffset: 4 * COLUMNS * row, byteLength: 4 * splits },
      },
      grid: gridFor(recorder, splits),
    });
    row += partialRows(gradient);
  }
  launchColumnSum(recorder, whole(partial), whole(sums), { width: COLUMNS, splits: 1, accumulate: false });
  recorder.launch({
    kernel: 'gradient_norm',
    overrides: { MAX_NORM: maxNorm },
    bindings: { partial: whole(sums), result: whole(norm) },
    grid: [1, 1],
  });
}
