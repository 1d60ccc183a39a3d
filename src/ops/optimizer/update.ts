/** An optimizer's update of a range of weights, by the kernel of its rule; nothing is touched unless the gradient norm is finite. */
import type { DType } from '../../autograd/tensor.ts';
import type { Launch } from '../../gpu/launch.ts';
import type { Slice } from '../../gpu/memory.ts';
import type { Recorder } from '../../gpu/program.ts';
import { streamLaunch } from '../launch.ts';

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
  /** f32: learning rate and what else the rule's kernel takes. */
  readonly settings: Slice;
}

/** What the launch of every rule's kernel has in common: every vec4 of the range once. */
export type UpdateLaunch = ReturnType<typeof commonOf>;

/** Records an update. @param launchOf names the rule's kernel, and adds what that takes besides */
export function recordUpdate(
  recorder: Recorder,
  update: WeightUpdate,
  launchOf: (common: UpdateLaunch) => Launch,
): void {
  recorder.launch(launchOf(commonOf(recorder, update)));
}

function commonOf(recorder: Recorder, { weights, gradient, copy, decays, norm, settings }: WeightUpdate) {
  return {
    conditions: { COPY: copy !== undefined, COPY_BF16: copy?.dtype === 'bf16' },
    ...streamLaunch(recorder, weights.byteLength / 16),
    overrides: { DECAYS: decays ? 1 : 0 },
    bindings: { w: weights, gradient, norm, settings, copy: copy?.slice },
  };
}
