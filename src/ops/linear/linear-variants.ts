/** Which kernel makes a linear layer's product; which is fastest depends on the adapter and the shape. */
import { type DType, rowLength, type Shard, type Tensor } from '../../autograd/tensor.ts';
import { MATRIX_VARIANTS, type ProductVariant } from '../../gpu/choices.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { Recorder } from '../../gpu/program.ts';
import { takesMatrixRows } from './matrix-rows.ts';
import { matrixVariants } from './matrix-tiles.ts';

/**
 * What a product may be launched as; those of a decoding step, 'rows' (linear_rows.wgsl) and 'rows_matrices' (linear_rows_matrices.wgsl),
 * are never a matter of measurement.
 */
export type LaunchVariant = ProductVariant | 'rows' | 'rows_matrices';

/**
 * Whether LoRA pairs and epilogues are fused into a variant: those that go through shared memory, and rows. Kernels for CPU adapters would
 * choose operands at every load instead of once per tile, and take twice as long to compile.
 */
export function isTiled(variant: LaunchVariant): boolean {
  return variant !== 'plain' && variant !== 'subgroup';
}

/** Whether a variant stages its operands in f16. */
export function isStaged16(variant: LaunchVariant): boolean {
  return (
    variant === 'tiled16' || variant === 'rows_matrices' || MATRIX_VARIANTS.some((form) => form === variant)
  );
}

/** y = x wᵀ, dx = dy w, dw = dyᵀ x. */
export type Orientation = 'FORWARD' | 'INPUT' | 'WEIGHT';

/** A product with one shard of a weight. */
export interface ProductShape {
  readonly orientation: Orientation;
  readonly tokens: number;
  readonly weight: Tensor;
  readonly shard: Shard;
  /** What the layer's weight is stored in: whether 16 bits are enough for its operands. */
  readonly stored: DType;
}

/**
 * Rows of a gradient below which most of a tile would idle. A forward product takes the same kernel for any number of tokens:
 * their numbers must not depend on how many they were packed with.
 */
const FEW_ROWS = 16;

/** Every variant that this adapter runs for this product, the best guess first. */
export function variantsFor(gpu: Gpu, shape: ProductShape): ProductVariant[] {
  const { shard, orientation, tokens, stored } = shape;
  const rows = orientation === 'WEIGHT' ? shard.rows : tokens;
  if (!isWhole4(shape)) return ['plain'];
  // f16 holds weights of 16 bits or fewer nearly as they are; their layer's activations and gradients are staged so as well.
  const is16Bit = stored !== 'f32';
  if (orientation !== 'FORWARD' && rows < FEW_ROWS)
    return gpu.profile.sharesLoads ? ['subgroup', 'plain'] : ['plain'];
  const staged: ProductVariant[] = is16Bit && gpu.has('shader-f16') ? ['tiled16'] : [];
  const matrices = is16Bit ? matrixVariants(gpu, fewest(shape)) : [];
  if (gpu.profile.kernels === 'gpu') return [...matrices, 'tiled', 'plain', ...staged];
  const onCpu: ProductVariant[] = gpu.profile.sharesLoads
    ? ['subgroup', 'plain', 'tiled']
    : ['plain', 'tiled'];
  return [...onCpu, ...staged, ...matrices];
}

/** Rows or columns of the result, whichever are fewer. Tokens do not count: they are many. */
function fewest({ orientation, weight, shard }: ProductShape): number {
  const inner = rowLength(weight.shape);
  if (orientation === 'WEIGHT') return Math.min(shard.rows, inner);
  return orientation === 'FORWARD' ? shard.rows : inner;
}

/**
 * Equal for products that must take the same variant. The number of tokens is no part of it: a token's numbers would
 * depend on what it is packed with, and cached references would not be those of the step.
 * @see KernelChoices
 */
export function productKey({ orientation, weight, shard, stored }: ProductShape): string {
  return `linear ${orientation.toLowerCase()} ${shard.rows} x ${rowLength(weight.shape)} ${stored}`;
}

/** The variant of a product: what was chosen for this adapter and shape, or else the best guess. */
export function variantOf(gpu: Gpu, shape: ProductShape): ProductVariant {
  const variants = variantsFor(gpu, shape);
  const chosen = gpu.choices.linear ?? gpu.choices.products.get(productKey(shape));
  return variants.find((variant) => variant === chosen) ?? (chosen === 'plain' ? 'plain' : variants[0]);
}

/** The variant that `recorder` takes: of a decoding step, one kernel whatever the number of rows. */
export function variantIn(recorder: Recorder, shape: ProductShape): LaunchVariant {
  if (!isOfFewRows(recorder, shape)) return variantOf(recorder.gpu, shape);
  return shape.stored !== 'f32' && takesMatrixRows(recorder) ? 'rows_matrices' : 'rows';
}

function isOfFewRows(recorder: Recorder, shape: ProductShape): boolean {
  return recorder.hasFewRows && shape.orientation === 'FORWARD' && isWhole4(shape);
}

/** Whether a product can be read and written in vec4. */
function isWhole4({ weight, shard }: ProductShape): boolean {
  return [weight.shape[0], rowLength(weight.shape), shard.rowStart, shard.rows].every((n) => n % 4 === 0);
}

const asked = new WeakMap<Gpu, Map<string, ProductShape>>();

/** For every key that was recorded on this device, the product with most tokens: what tuning measures. */
export function askedProducts(gpu: Gpu): Map<string, ProductShape> {
  const known = asked.get(gpu) ?? new Map<string, ProductShape>();
  asked.set(gpu, known);
  return known;
}

export function noteProduct(gpu: Gpu, shape: ProductShape): void {
  const products = askedProducts(gpu);
  const key = productKey(shape);
  const before = products.get(key);
  if (before === undefined || before.tokens < shape.tokens) products.set(key, shape);
}
