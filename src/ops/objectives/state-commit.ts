/** state = next, unless the gradient of the step was not finite: an objective's state moves with the weights or not at all. */
import { type Tensor, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';

/**
 * @param state f32 [1], as `next`
 * @param norm f32 [4] of `recordGradientNorm`
 */
export function recordStateCommit(recorder: Recorder, next: Tensor, state: Tensor, norm: Tensor): void {
  recorder.launch({
    kernel: 'state_commit',
    bindings: { next: whole(next), norm: whole(norm), state: whole(state) },
    grid: [1, 1],
  });
}
