/**
 * A linear layer, with or without LoRA:  y = x Wᵀ + (alpha / r) (x Aᵀ) Bᵀ (+ b) (+ residual).
 * W [out, in], b [out], A [r, in], B [out, r], as PEFT stores them.
 */
import type { Tape } from '../autograd/tape.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { type Activation, glu } from '../ops/elementwise/glu.ts';
import type { RotaryAttributes } from '../ops/elementwise/rotary.ts';
import { gatedLinear } from '../ops/linear/gated-linear.ts';
import { linear, stagesInputs } from '../ops/linear/linear.ts';
import { loraLinear } from '../ops/linear/lora-linear.ts';

export interface LoraPair {
  readonly a: Tensor;
  readonly b: Tensor;
  /** alpha / r. */
  readonly scale: number;
}

export interface Projection {
  readonly weight: Tensor;
  /** Instead of a residual. */
  readonly bias?: Tensor | undefined;
  readonly lora: LoraPair | undefined;
}

/** What a projection does to its product besides. */
export interface ProjectionExtras {
  /** Added to the product. */
  readonly residual?: Tensor | undefined;
  /** Instead of a residual: turns the heads of the result. */
  readonly rotary?: RotaryAttributes | undefined;
}

/**
 * Whether whoever makes the x [tokens, in] of these layers may store it in f16: all of their products stage it so. Counts LoRA
 * whether or not it takes part, so that policy and reference read the same x.
 */
export function readInHalf({ recorder }: Tape, projections: readonly Projection[], tokens: number): boolean {
  const weights = projections.flatMap(({ weight, lora }) =>
    lora === undefined ? [weight] : [weight, lora.a],
  );
  return stagesInputs(recorder, weights, tokens);
}

/** @param adapter false switches LoRA off: the reference model is the same weights without it. */
export function project(
  tape: Tape,
  x: Tensor,
  projection: Projection,
  adapter: boolean,
  { residual, rotary }: ProjectionExtras = {},
): Tensor {
  const { weight, bias, lora } = projection;
  if (bias !== undefined && residual !== undefined)
    throw new RangeError(`${bias.label}: a projection takes a bias or a residual, not both.`);
  const added = [bias, residual].filter((tensor) => tensor !== undefined);
  if (lora === undefined || !adapter) return tape.apply(linear, [x, weight, ...added], { rotary })[0];
  return tape.apply(loraLinear, [x, weight, lora.a, lora.b, ...added], { scale: lora.scale, rotary })[0];
}

export interface GatedProjection {
  readonly gate: Projection;
  readonly up: Projection;
  readonly activation: Activation;
  /** Whether the result is made in f16: `readInHalf` of what reads it. */
  readonly half?: boolean;
}

/**
 * f(gate(x)) · up(x): the upper half of a feed-forward block. With LoRA on either, both are products of their own also where
 * the adapter is off: a reference then gives the policy's bits while the adapter is still 0.
 */
export function projectGated(
  tape: Tape,
  x: Tensor,
  { gate, up, activation, half = false }: GatedProjection,
  adapter: boolean,
): Tensor {
  if ((gate.lora ?? up.lora) !== undefined) {
    const products = [gate, up].map((projection) => project(tape, x, projection, adapter));
    return tape.apply(glu, products, { activation, half })[0];
  }
  return tape.apply(gatedLinear, [x, gate.weight, up.weight], { activation, half })[0];
}
