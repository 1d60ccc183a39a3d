/** Filling and rounding: what programs do to whole tensors outside the graph. */
import { elementCount, type Tensor, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import { gridFor, workgroupSize } from '../launch.ts';

/** Sets every element of an f32 tensor. */
export function recordFill(recorder: Recorder, tensor: Tensor, value: number): void {
  const count = elementCount(tensor.shape);
  const VEC4 = count % 4 === 0;
  recorder.launch({
    kernel: 'fill',
    conditions: { VEC4 },
    constants: { WORKGROUP: workgroupSize(recorder) },
    overrides: { VALUE: value },
    bindings: { x: whole(tensor) },
    grid: gridFor(recorder, VEC4 ? count / 4 : count),
  });
}

/** Rounds f32 values into a 16-bit tensor of the same length. */
export function recordCast(recorder: Recorder, from: Tensor, to: Tensor): void {
  recorder.launch({
    kernel: 'cast',
    conditions: { COPY_BF16: to.dtype === 'bf16' },
    constants: { WORKGROUP: workgroupSize(recorder) },
    bindings: { x: whole(from), copy: whole(to) },
    grid: gridFor(recorder, elementCount(from.shape) / 2),
  });
}
