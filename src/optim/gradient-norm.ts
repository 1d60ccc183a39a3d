/** The global gradient norm and clipping to it, as torch.nn.utils.clip_grad_norm_. */
import { type Tensor, temporary, whole } from '../autograd/tensor.ts';
import type { Recorder } from '../gpu/program.ts';
import type { Slab } from '../nn/parameters.ts';
import { gridFor, workgroupSize } from '../ops/launch.ts';

/** Partial sums of squares are kept in rows of this many. */
const COLUMNS = 256;

/** Rows of partial sums for a slab: one for every 2^16 elements, at most 256. Depends on nothing else, as the bits do. */
function partialRows(slab: Slab): number {
  return Math.min(256, Math.ceil(slab.length / 2 ** 16));
}

/**
 * Records the norm over the gradients of all slabs: squares of every slab to rows of partial sums, rows to one row, that
 * row to the norm; always in the same order.
 * @param maxNorm global norm to clip gradients to; 0 clips nothing
 * @param norm f32 [4], overwritten: norm, clip scale, 1 while every norm so far was finite, and 1 once one was not
 */
export function recordGradientNorm(
  recorder: Recorder,
  slabs: readonly Slab[],
  maxNorm: number,
  norm: Tensor,
): void {
  const constants = { WORKGROUP: workgroupSize(recorder) };
  const rows = slabs.reduce((sum, slab) => sum + partialRows(slab), 0);
  const partial = temporary(recorder, 'sums of squares', [rows, COLUMNS]);
  const sums = temporary(recorder, 'sums of squares by column', [COLUMNS]);
  let row = 0;
  for (const slab of slabs) {
    const splits = partialRows(slab) * COLUMNS;
    recorder.launch({
      kernel: 'gradient_norm_partial',
      constants,
      bindings: {
        gradient: whole(slab.gradient),
        partial: { ...whole(partial), byteOffset: 4 * COLUMNS * row, byteLength: 4 * splits },
      },
      grid: gridFor(recorder, splits),
    });
    row += partialRows(slab);
  }
  recorder.launch({
    kernel: 'column_sum',
    conditions: { ACCUMULATE: false },
    constants,
    overrides: { H: COLUMNS },
    bindings: { x: whole(partial), y: whole(sums) },
    grid: gridFor(recorder, COLUMNS),
  });
  recorder.launch({
    kernel: 'gradient_norm',
    overrides: { MAX_NORM: maxNorm },
    bindings: { partial: whole(sums), result: whole(norm) },
    grid: [1, 1],
  });
}
