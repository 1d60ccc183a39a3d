/**
 * A linear layer, with or without LoRA:  y = x Wᵀ + (alpha / r) (x Aᵀ) Bᵀ (+ residual).
 * W [out, in], A [r, in], B [out, r], as PEFT stores them.
 */
import type { Tape } from '../autograd/tape.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { swiglu } from '../ops/elementwise/swiglu.ts';
import { gatedLinear } from '../ops/linear/gated-linear.ts';
import { linear } from '../ops/linear/linear.ts';
import { loraLinear } from '../ops/linear/lora-linear.ts';

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
  const added = residual === undefined ? [] : [residual];
  if (lora === undefined || !adapter) return tape.apply(linear, [x, weight, ...added], {})[0];
  return tape.apply(loraLinear, [x, weight, lora.a, lora.b, ...added], { scale: lora.scale })[0];
}

/** silu(gate(x)) · up(x): the activation of a feed-forward block. */
export function projectGated(
  tape: Tape,
  x: Tensor,
  gate: Projection,
  up: Projection,
  adapter: boolean,
): Tensor {
  if (adapter && (gate.lora ?? up.lora) !== undefined)
    return tape.apply(swiglu, [project(tape, x, gate, adapter), project(tape, x, up, adapter)], {})[0];
  return tape.apply(gatedLinear, [x, gate.weight, up.weight], {})[0];
}
