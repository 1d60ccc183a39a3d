/**
 * The one table of operations that a tape records, for whoever takes them by name: benchmarks and conformance cases. An op
 * without a launcher, a gradient rule or a plain reference does not compile, because `Op` asks for all three. What is recorded
 * without a tape (optimizers, metrics, sampling) lies in the folders of its kernels.
 */
import type { Op } from '../autograd/op.ts';
import { type Accumulate, type Observe, Tape } from '../autograd/tape.ts';
import type { Recorder } from '../gpu/program.ts';
import { attention } from './attention/attention.ts';
import { pagedAttention } from './attention/paged-attention.ts';
import { glu } from './elementwise/glu.ts';
import { rotary } from './elementwise/rotary.ts';
import { binary, dot, unary } from './elementwise/vector.ts';
import { embedding } from './indexing/embedding.ts';
import { gatherRows } from './indexing/gather-rows.ts';
import { streamLaunch } from './launch.ts';
import { gatedLinear } from './linear/gated-linear.ts';
import { linear } from './linear/linear.ts';
import { loraLinear } from './linear/lora-linear.ts';
import { loraStack } from './linear/lora-stack.ts';
import { epsilonLogps } from './logps/epsilon-logps.ts';
import { tokenLogps } from './logps/token-logps.ts';
import { rmsNorm } from './norm/rms-norm.ts';
import { segmentSum } from './reduction/segment-sum.ts';

// Benchmarks time ops alone: what they need besides the table is exported here.
export type { Op } from '../autograd/op.ts';
export {
  allocateTensor,
  type DType,
  download,
  elementCount,
  freeTensor,
  reserveTensor,
  rowRange,
  type Tensor,
  upload,
  whole,
} from '../autograd/tensor.ts';
export { Workspace } from '../autograd/workspace.ts';
export type { AttentionLayout } from './attention/attention.ts';
export { BLOCK_TOKENS } from './attention/paged-attention.ts';
export { recordFill } from './elementwise/fill.ts';
export { launchLinear, launchLinearBackwardInput, launchLinearBackwardWeight } from './linear/linear.ts';
export { isStaged16, type Orientation, variantsFor } from './linear/linear-variants.ts';
export { GROUP, MATRIX_FORMS, type MatrixForm, type MatrixTile, tileOf } from './linear/matrix-tiles.ts';

export const ops = {
  attention,
  binary,
  dot,
  embedding,
  epsilonLogps,
  gatedLinear,
  gatherRows,
  glu,
  linear,
  loraLinear,
  loraStack,
  pagedAttention,
  rmsNorm,
  rotary,
  segmentSum,
  tokenLogps,
  unary,
} satisfies Record<string, Op<never>>;

/** Adds or copies a tensor into a gradient; shards of both lie alike. */
export const accumulate: Accumulate = (recorder, from, target) => {
  if (from.shards.length !== target.tensor.shards.length) {
    throw new RangeError(`${from.label} and ${target.tensor.label} are cut into different shards.`);
  }
  from.shards.forEach((shard, i) => {
    const VEC4 = shard.byteLength % 16 === 0;
    recorder.launch({
      kernel: 'accumulate',
      conditions: { ACCUMULATE: target.accumulate, VEC4 },
      ...streamLaunch(recorder, shard.byteLength / (VEC4 ? 16 : 4)),
      bindings: { x: shard, y: target.tensor.shards[i] },
    });
  });
};

/** A tape that records into `recorder`. */
export function tapeFor(recorder: Recorder, observe?: Observe): Tape {
  return new Tape(recorder, accumulate, observe);
}
