/** TR-DPO's soft update of a reference that follows the policy; weights of both are cut into the same shards. */
import { type Tensor, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import { gridFor, workgroupSize } from '../launch.ts';

/**
 * reference = (1 - share) reference + share policy, unless a gradient was not finite.
 * @param policy f32 masters
 * @param norm f32 [4] of `recordGradientNorm`
 */
export function recordReferenceUpdate(
  recorder: Recorder,
  policy: Tensor,
  reference: Tensor,
  { share, norm }: { readonly share: number; readonly norm: Tensor },
): void {
  for (const [i, shard] of policy.shards.entries())
    recorder.launch({
      kernel: 'reference_update',
      constants: { WORKGROUP: workgroupSize(recorder) },
      overrides: { ALPHA: share },
      bindings: { policy: shard, reference: reference.shards[i], norm: whole(norm) },
      grid: gridFor(recorder, shard.byteLength / 4),
    });
}
