/**
 * A linear layer, with or without LoRA:  y = x Wᵀ + (alpha / r) (x Aᵀ) Bᵀ (+ residual).
 * W [out, in], A [r, in], B [out, r], as PEFT stores them.
 */
import type { Tape } from '../autograd/tape.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { linear } from '../ops/linear.ts';

export interface LoraPair {
  readonly a: Tensor;
  readonly b: Tensor;
  /** alpha / r. */
  readonly scale: number;
}

export interface Projection {
  readonly weight: Tensor;
  readonly lora: LoraPair | undefined;
}

/** @param adapter false switches LoRA off: the reference model is the same weights without it. */
export function project(
  tape: Tape,
  x: Tensor,
  projection: Projection,
  adapter: boolean,
  residual?: Tensor,
): Tensor {
  const { weight, lora } = projection;
  const [base] = tape.apply(linear, residual === undefined ? [x, weight] : [x, weight, residual], {});
  if (lora === undefined || !adapter) return base;
  const [low] = tape.apply(linear, [x, lora.a], {});
  return tape.apply(linear, [low, lora.b, base], { scale: lora.scale })[0];
}
