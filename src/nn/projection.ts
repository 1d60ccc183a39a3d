/**
 * A linear layer, with or without LoRA:  y = x Wᵀ + (alpha / r) (x Aᵀ) Bᵀ (+ b) (+ residual).
 * W [out, in], b [out], A [r, in], B [out, r], as PEFT stores them.
 */
import type { Tape } from '../autograd/tape.ts';
import { joinRows, type Tensor } from '../autograd/tensor.ts';
import { type Activation, glu } from '../ops/elementwise/glu.ts';
import { type RotaryAttributes, rotary as rotaryOp } from '../ops/elementwise/rotary.ts';
import { gatedLinear, gatesPairs } from '../ops/linear/gated-linear.ts';
import { fusesPair, linear, stagesInputs } from '../ops/linear/linear.ts';
import { loraLinear } from '../ops/linear/lora-linear.ts';
import { loraStack } from '../ops/linear/lora-stack.ts';

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
  if (rotary !== undefined && turnsApart(tape, x, projection)) {
    const straight = project(tape, x, projection, adapter, { residual });
    return tape.apply(rotaryOp, [straight], rotary)[0];
  }
  const added = [bias, residual].filter((tensor) => tensor !== undefined);
  if (lora === undefined || !adapter) return tape.apply(linear, [x, weight, ...added], { rotary })[0];
  return tape.apply(loraLinear, [x, weight, lora.a, lora.b, ...added], { scale: lora.scale, rotary })[0];
}

/**
 * Whether heads are turned by an op of their own: where a pair is no part of the product's sum. A product without its pair, the
 * reference's, could turn them, but by another kernel than the policy's.
 */
function turnsApart({ recorder }: Tape, x: Tensor, { weight, lora }: Projection): boolean {
  return lora !== undefined && !fusesPair(recorder, x.shape[0], weight, lora.b);
}

/**
 * Each projection of the same x, without residuals. Those with LoRA share products where their pairs lie as `stackOf` needs them.
 * @param rotaries turn the heads of each result
 */
export function projectEach(
  tape: Tape,
  x: Tensor,
  projections: readonly Projection[],
  adapter: boolean,
  rotaries: readonly (RotaryAttributes | undefined)[] = [],
): Tensor[] {
  const alone = (projection: Projection, i: number) =>
    project(tape, x, projection, adapter, { rotary: rotaries[i] });
  const paired = projections.filter(({ lora }) => adapter && lora !== undefined);
  const stack = paired.length > 1 ? stackOf(tape, x, paired) : undefined;
  if (stack === undefined) return projections.map(alone);
  const { a, bs, scale } = stack;
  const weights = paired.map(({ weight }) => weight);
  const biases = paired.flatMap(({ bias }) => bias ?? []);
  const turns = paired.map((projection) => rotaries[projections.indexOf(projection)]);
  const attributes = { scale, rotaries: turns };
  const outputs = tape.apply(loraStack, [x, a, ...weights, ...bs, ...biases], attributes);
  return projections.map((projection, i) => {
    const place = paired.indexOf(projection);
    return place < 0 ? alone(projection, i) : outputs[place];
  });
}

/** LoRA pairs of projections of one x: their A as one tensor. */
interface Stack {
  readonly a: Tensor;
  readonly bs: readonly Tensor[];
  readonly scale: number;
}

/**
 * Undefined where the A do not lie one after the other (nn/parameters.ts has them so on GPUs), scales differ, some have a bias
 * and some not, or products do not take pairs into their sums, or x as it is.
 */
function stackOf(tape: Tape, x: Tensor, projections: readonly Projection[]): Stack | undefined {
  const pairs = projections.flatMap(({ lora }) => lora ?? []);
  const a = joinRows(pairs.map((pair) => pair.a));
  const [{ scale }] = pairs;
  const biases = projections.filter(({ bias }) => bias !== undefined).length;
  const isAlike = pairs.every((pair) => pair.scale === scale) && [0, projections.length].includes(biases);
  const isFused = projections.every(
    ({ weight, lora }) => lora === undefined || fusesPair(tape.recorder, x.shape[0], weight, lora.b),
  );
  if (a === undefined || !isAlike || !isFused) return undefined;
  if (x.dtype === 'f16' && !stagesInputs(tape.recorder, [a], x.shape[0])) return undefined;
  return { a, bs: pairs.map(({ b }) => b), scale };
}

export interface GatedProjection {
  readonly gate: Projection;
  readonly up: Projection;
  readonly activation: Activation;
  /** Whether the result is made in f16: `readInHalf` of what reads it. */
  readonly half?: boolean;
}

/**
 * f(gate(x)) · up(x): the upper half of a feed-forward block. With LoRA on either, what kernels make it and how they round does
 * not depend on whether the adapter is on: a reference gives the policy's bits while the adapter is still 0.
 */
export function projectGated(
  tape: Tape,
  x: Tensor,
  { gate, up, activation, half = false }: GatedProjection,
  adapter: boolean,
): Tensor {
  const inputs = [x, gate.weight, up.weight];
  if ((gate.lora ?? up.lora) === undefined) return tape.apply(gatedLinear, inputs, { activation, half })[0];
  const products = [gate, up];
  const stack = stackOf(tape, x, products);
  const paired = products.map(({ weight, lora }) => ({ weight, b: lora?.b }));
  if (stack === undefined || !gatesPairs(tape.recorder, x.shape[0], paired)) {
    const outputs = projectEach(tape, x, products, adapter);
    return tape.apply(glu, outputs, { activation, half })[0];
  }
  if (!adapter) return tape.apply(gatedLinear, inputs, { activation, half })[0];
  const { a, bs, scale } = stack;
  const pairs = { gate: gate.lora !== undefined, up: up.lora !== undefined, scale };
  return tape.apply(gatedLinear, [...inputs, a, ...bs], { activation, half, pairs })[0];
}
