/**
 * Optimizer updates of a range of weights, four elements to an invocation; nothing is touched unless the gradient norm is
 * finite. adamw.wgsl and sgd.wgsl say what `settings` holds.
 */
import type { DType } from '../../autograd/tensor.ts';
import type { Slice } from '../../gpu/memory.ts';
import type { Recorder } from '../../gpu/program.ts';
import { gridFor, workgroupSize } from '../launch.ts';

/** A range of weights with all that its update reads and writes besides the optimizer's moments. */
export interface WeightUpdate {
  /** f32. */
  readonly weights: Slice;
  /** f32, of the same length. */
  readonly gradient: Slice;
  /** Written as well: the weights that products read, in 16 bits. */
  readonly copy: { readonly slice: Slice; readonly dtype: DType } | undefined;
  readonly decays: boolean;
  /** f32 [4] of `recordGradientNorm`. */
  readonly norm: Slice;
  /** f32: learning rate and what else the optimizer takes. */
  readonly settings: Slice;
}

/** m, v: AdamW's moments, f32 of the range's length. */
export function recordAdamW(recorder: Recorder, update: WeightUpdate, m: Slice, v: Slice): void {
  const common = commonOf(recorder, update);
  recorder.launch({ kernel: 'adamw', ...common, bindings: { ...common.bindings, m, v } });
}

/** @param buffer the momentum, f32 of the range's length; undefined: stochastic gradient descent without it */
export function recordSgd(recorder: Recorder, update: WeightUpdate, buffer: Slice | undefined): void {
  const common = commonOf(recorder, update);
  recorder.launch({
    kernel: 'sgd',
    ...common,
    conditions: { ...common.conditions, MOMENTUM: buffer !== undefined },
    bindings: { ...common.bindings, buffer },
  });
}

function commonOf(recorder: Recorder, { weights, gradient, copy, decays, norm, settings }: WeightUpdate) {
  return {
    conditions: { COPY: copy !== undefined, COPY_BF16: copy?.dtype === 'bf16' },
    constants: { WORKGROUP: workgroupSize(recorder) },
    overrides: { DECAYS: decays ? 1 : 0 },
    bindings: { w: weights, gradient, norm, settings, copy: copy?.slice },
    grid: gridFor(recorder, weights.byteLength / 16),
  };
}
