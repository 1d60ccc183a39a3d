/**
 * Which form of a kernel a run uses, where it is not the first choice of the device profile: what was measured on this
 * adapter, what a checkpoint says, or what a test or benchmark asks for.
 */

/**
 * Kernels that make a linear layer's product. All give what the plain one gives, to rounding.
 *
 *   plain      register tiles, one load per invocation; takes every shape and runs everywhere
 *   subgroup   register tiles of which subgroups share the loads: CPU adapters
 *   tiled      64 x 64 tiles in shared memory, f32: GPUs
 *   tiled16    the same, staged in f16, when weights are 16-bit anyway
 *   matrices   tensor cores, f16 x f16 + f32, likewise: 128 x 128 tiles on NVIDIA
 *   matrices_pipelined   the same bits; loads the next slab of the sum while one is multiplied
 *   matrices_shallow     the same bits; pipelined, with slabs of 16 steps instead of 32
 *   matrices_wide        the same bits; pipelined, and 256 x 128 tiles by twice as many subgroups
 *   matrices_narrow      the same bits; pipelined, and 64 x 64 tiles, for results with few rows or few columns (LoRA)
 */
export const PRODUCT_VARIANTS = [
  'plain',
  'subgroup',
  'tiled',
  'tiled16',
  'matrices',
  'matrices_pipelined',
  'matrices_shallow',
  'matrices_wide',
  'matrices_narrow',
] as const;
export type ProductVariant = (typeof PRODUCT_VARIANTS)[number];

/** Those on tensor cores, the best guess for a large result first. */
export const MATRIX_VARIANTS = [
  'matrices',
  'matrices_pipelined',
  'matrices_shallow',
  'matrices_wide',
  'matrices_narrow',
] as const;
export type MatrixVariant = (typeof MATRIX_VARIANTS)[number];

/**
 * Forms of attention: 'matrices', on tensor cores with operands in f16; 'tiled', 32 x 32 scores in workgroup memory; 'subgroup',
 * which shares keys within a subgroup and needs one binding more; 'plain', an invocation to each token. All give a token the
 * same bits whatever it is packed with.
 */
export type AttentionVariant = 'plain' | 'subgroup' | 'tiled' | 'matrices';

/**
 * Whether a row is added up by a workgroup or by one invocation. 'subgroup' is 'invocation', and products of few rows share
 * their loads within a subgroup.
 */
export type RowVariant = 'workgroup' | 'invocation' | 'subgroup';

export class KernelChoices {
  /** For all products at once; before `products`. */
  linear: ProductVariant | undefined;
  attention: AttentionVariant | undefined;
  rows: RowVariant | undefined;
  /** How many partial sums over tokens a weight's gradient is made of. */
  splitK: number | undefined;
  /** Whether sizes of products on tensor cores are constants of their pipelines. The bits are the same. */
  sizedProducts: boolean | undefined;
  /**
   * Whether products and attention of decoding steps run on tensor cores, where there are any, by the kernels of GPUs. Default: no,
   * since they were not measured on one.
   */
  decodesOnMatrices: boolean | undefined;
  /** By `productKey` (src/ops/linear/linear-variants.ts). */
  readonly products = new Map<string, ProductVariant>();

  /** Back to the device's first choices. */
  clear(): void {
    this.linear = this.attention = this.rows = this.splitK = undefined;
    this.sizedProducts = this.decodesOnMatrices = undefined;
    this.products.clear();
  }

  /** A text that is equal where all choices are: products by other variants round differently. */
  get fingerprint(): string {
    const { linear, attention, rows, splitK, products } = this;
    return JSON.stringify([
      linear,
      attention,
      rows,
      splitK,
      [...products].sort(([a], [b]) => (a < b ? -1 : 1)),
    ]);
  }

  /** The measured choices, as files keep them. */
  toRecord(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.products);
  }

  /** Takes over what `toRecord` gave; variants that this version does not know are left to the profile. */
  load(record: Readonly<Record<string, string>>): void {
    for (const [key, variant] of Object.entries(record))
      if (isProductVariant(variant)) this.products.set(key, variant);
  }
}

function isProductVariant(text: string): text is ProductVariant {
  return PRODUCT_VARIANTS.some((variant) => variant === text);
}
