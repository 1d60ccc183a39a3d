/** What one optimizer is: the moments it keeps, the numbers of a step, and the kernel that updates a range of weights. */
import type { z } from 'zod';
import { bytesPerElement, type Tensor, whole } from '../autograd/tensor.ts';
import type { Slice } from '../gpu/memory.ts';
import type { Recorder } from '../gpu/program.ts';
import type { Slab } from '../nn/parameters.ts';
import type { WeightUpdate } from '../ops/optimizer/update.ts';

/** Elements [start, start + length) of a slab, and where their moments are while they are updated. */
export interface SlabRange {
  readonly slab: Slab;
  readonly start: number;
  readonly length: number;
  /** f32 [length] each, in the order of `UpdateRule.moments`. */
  readonly moments: readonly Slice[];
}

/** What every update reads besides its range. */
export interface UpdateInputs {
  /** f32 [4] of `recordGradientNorm`: nothing is touched unless the norm is finite. */
  readonly norm: Tensor;
  /** f32: the values of `UpdateRule.values`. */
  readonly values: Tensor;
}

/** An optimizer with its settings filled in. */
export interface UpdateRule {
  /** What it keeps per weight, f32 each, by the names that PyTorch's state_dict has. */
  readonly moments: readonly string[];
  /** The numbers of step `step` (counted from 1) in the order in which the kernel reads them; always as many. */
  values(step: number, learningRate: number): readonly number[];
  record(recorder: Recorder, range: SlabRange, inputs: UpdateInputs): void;
}

/** An optimizer as the registry lists it. */
export interface OptimizerDefinition<Keys extends z.ZodRawShape> {
  /** Its settings: keys of the group `training`, under names that no other optimizer has. */
  readonly keys: Keys;
  create(settings: z.output<z.ZodObject<Keys>> & { readonly weight_decay: number }): UpdateRule;
}

/** Makes an optimizer ready for the registry. */
export function defineOptimizer<Keys extends z.ZodRawShape>(
  definition: OptimizerDefinition<Keys>,
): OptimizerDefinition<Keys> {
  return definition;
}

/** What the kernel of every rule is given: the slices of a range. */
export function updateOf(range: SlabRange, { norm, values }: UpdateInputs): WeightUpdate {
  const { slab, start, length } = range;
  const { master, gradient, copy, weightDecay } = slab;
  const rangeOf = (tensor: Tensor, first = 0): Slice => {
    const size = bytesPerElement(tensor.dtype);
    return { ...whole(tensor), byteOffset: size * (start - first), byteLength: size * length };
  };
  return {
    weights: rangeOf(master, slab.hasWholeMaster ? 0 : slab.share.start),
    gradient: rangeOf(gradient),
    copy: copy && { slice: rangeOf(copy), dtype: copy.dtype },
    decays: weightDecay,
    norm: whole(norm),
    settings: whole(values),
  };
}
