/** The largest absolute value that a tensor ever had; NaN counts as larger than any. */
import { type Tensor, whole } from '../../autograd/tensor.ts';
import type { Slice } from '../../gpu/memory.ts';
import type { Recorder } from '../../gpu/program.ts';
import { workgroupSize } from '../launch.ts';

/**
 * record = max(record, max |x|), up to the first step whose gradient norm is not finite.
 * @param x f32, or the inputs of products in f16 (`half_input` of kernels/shared/half.wgsl), of which it is the largest they stand for
 * @param record the f32 found so far, [1]
 * @param norm f32 [4] of `recordGradientNorm`
 */
export function recordAbsmax(recorder: Recorder, x: Tensor, record: Slice, norm: Tensor): void {
  for (const shard of x.shards)
    recorder.launch({
      kernel: 'absmax',
      conditions: { HALF: x.dtype === 'f16' },
      constants: { WORKGROUP: workgroupSize(recorder) },
      bindings: { x: shard, record, norm: whole(norm) },
      grid: [1, 1],
    });
}
