/** BMC's weights of differing tokens, which carry no gradient. */
import { detach, type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import { gridFor, workgroupSize } from '../launch.ts';

/**
 * lambda_t = 1 + min(exp(-logp_t), delta) where `diff` is 1, else 1.
 * @param logps f32 [R]
 * @param diff f32 [R], 1 on tokens that differ from the other answer
 * @returns lambda [R]
 */
export function recordBmcWeights(recorder: Recorder, logps: Tensor, diff: Tensor, delta: number): Tensor {
  const lambda = temporary(recorder, 'lambda', logps.shape);
  recorder.launch({
    kernel: 'bmc_weights',
    constants: { WORKGROUP: workgroupSize(recorder) },
    overrides: { DELTA: delta },
    bindings: { logps: whole(detach(logps)), diff: whole(diff), lambda: whole(lambda) },
    grid: gridFor(recorder, logps.shape[0]),
  });
  return lambda;
}
