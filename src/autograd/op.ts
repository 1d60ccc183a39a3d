/**
 * What an op is: how it is launched, how its gradient is, and what it computes said plainly. The tape knows no
 * particular op, and ops know nothing of each other.
 */
import type { Recorder } from '../gpu/program.ts';
import type { Tensor } from './tensor.ts';

/** A host array for plain references: f64 values, row-major. */
export interface HostArray {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** Where a gradient rule writes the gradient of one input. */
export interface GradientTarget {
  readonly tensor: Tensor;
  /** True: add to what `tensor` holds. False: overwrite; its contents are undefined. */
  readonly accumulate: boolean;
}

export interface GradientContext<Attributes> {
  readonly recorder: Recorder;
  readonly attributes: Attributes;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** What `launch` kept for the gradient besides inputs and outputs. */
  readonly saved: readonly Tensor[];
  /** Gradient of each output; undefined where nothing flowed back into it. */
  readonly outputGradients: readonly (Tensor | undefined)[];
  /** Does input `i` want a gradient? */
  needs(input: number): boolean;
  /** The place for the gradient of input `i`. To be asked once per input, and filled. */
  target(input: number): GradientTarget;
  /** Says that the gradient of input `i` is `gradient` itself (addition, residuals): no kernel runs where none must. */
  pass(input: number, gradient: Tensor): void;
}

export interface Launched {
  readonly outputs: readonly Tensor[];
  readonly saved?: readonly Tensor[];
}

/**
 * One differentiable operation. `Attributes` hold sizes, constants and index tensors; everything that gradients can flow
 * through is an input.
 */
export interface Op<Attributes> {
  readonly name: string;
  /** Records the forward dispatches. */
  launch(recorder: Recorder, inputs: readonly Tensor[], attributes: Attributes): Launched;
  /** Records the backward dispatches, writing to the targets that are needed. */
  gradient(context: GradientContext<Attributes>): void;
  /** The same function in f64 on the host, for finite differences. Index tensors are read through `index`. */
  reference(
    inputs: readonly HostArray[],
    attributes: Attributes,
    index: (tensor: Tensor) => Int32Array,
  ): HostArray[];
}
