/**
 * linear: y = x wᵀ (+ residual or bias), the product every layer is made of. x [T, K], w [N, K], y [T, N].
 *
 * The three products (forward, gradient of x, gradient of w) read w as it lies in the checkpoint. Shards of w are
 * ranges of output columns.
 */
import type { GradientContext, Op } from '../../autograd/op.ts';
import { rowLength, rowRange, type Shard, type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { Slice } from '../../gpu/memory.ts';
import { type Dispatch, gridOf, type Recorder } from '../../gpu/program.ts';
import { bitsOf, constantsOnGpu } from '../constants.ts';
import { activationConditions, type GluAttributes } from '../elementwise/glu.ts';
import { takesWorkgroups, workgroupSize } from '../launch.ts';
import { launchColumnSum, recordColumnSum } from '../reduction/column-sum.ts';
import {
  isTiled,
  type LaunchVariant,
  noteProduct,
  type Orientation,
  variantIn,
  variantOf,
} from './linear-variants.ts';

export interface LinearAttributes {
  /** Factor on the product alone, not on what is added: LoRA's alpha / r. Default 1. */
  readonly scale?: number;
}

interface Product {
  readonly rows: number;
  readonly weight: Tensor;
  readonly scale: number;
  readonly accumulate: boolean;
}

/** A LoRA pair in the same sum: `own` [rows, R] holds its factor already, `other` is B [N, R] forward, A [R, K] backward. */
export interface LowRank {
  readonly own: Slice;
  readonly other: Tensor;
}

/** A residual [T, N], or a bias [N] for every row. */
export interface Added {
  readonly slice: Slice;
  readonly isBias: boolean;
}

/** What a product may carry besides itself. */
interface Extras {
  readonly added?: Added;
  readonly lowRank?: LowRank;
  readonly gated?: Gated;
  /** Stores the result, and finds the gate, as packed f16. */
  readonly half?: boolean;
}

/** The epilogue of a feed-forward block: y = f(gate) · result. */
interface Gated extends GluAttributes {
  readonly gate: Slice;
  readonly y: Slice;
}

/**
 * Tiles where K is no multiple of 4: every element has its own bounds check there, and unrolled large tiles of them take a
 * CPU adapter seconds to compile.
 */
const RAGGED = { ROWS: 2, COLUMNS: 2 };
const RAGGED4 = { ROWS: 2, COLUMNS4: 1 };

/**
 * y (+)= scale · x wᵀ (+ own otherᵀ) (+ residual or bias), one dispatch per shard of w. `y` may be a slice of scratch memory;
 * kernels take the number of rows from the length of their bindings, so slices must be exact.
 */
export function launchLinear(
  recorder: Recorder,
  x: Slice,
  y: Slice,
  product: Product,
  { added, lowRank, gated, half }: Extras = {},
): void {
  const fused = fusesLowRank(recorder, 'FORWARD', product, lowRank) ? lowRank : undefined;
  for (const shard of product.weight.shards)
    launchProduct(recorder, 'FORWARD', product, shard, {
      bindings: [x, shard, y],
      added,
      lowRank: fused,
      gated,
      half,
      accumulate: product.accumulate,
    });
  if (lowRank !== undefined && fused === undefined)
    launchLinear(recorder, lowRank.own, y, lowRankProduct(product, lowRank));
}

/** dx (+)= scale · dy w (+ own other). */
export function launchLinearBackwardInput(
  recorder: Recorder,
  dy: Slice,
  dx: Slice,
  product: Product,
  lowRank?: LowRank,
): void {
  const fused = fusesLowRank(recorder, 'INPUT', product, lowRank) ? lowRank : undefined;
  product.weight.shards.forEach((shard, i) => {
    launchProduct(recorder, 'INPUT', product, shard, {
      bindings: [dy, shard, dx],
      lowRank: i === 0 ? fused : undefined,
      accumulate: product.accumulate || i > 0,
    });
  });
  if (lowRank !== undefined && fused === undefined)
    launchLinearBackwardInput(recorder, lowRank.own, dx, lowRankProduct(product, lowRank));
}

/** The pair on its own, added to what the base product made. */
function lowRankProduct({ rows }: Product, { other }: LowRank): Product {
  return { rows, weight: other, scale: 1, accumulate: true };
}

/** Whether one dispatch makes the base product and its LoRA pair. */
function fusesLowRank(
  recorder: Recorder,
  orientation: Orientation,
  product: Product,
  lowRank?: LowRank,
): boolean {
  const { weight, rows: tokens, scale } = product;
  if (lowRank === undefined || scale !== 1 || lowRank.other.shards.length > 1) return false;
  const rank = lowRank.other.shape[orientation === 'FORWARD' ? 1 : 0];
  const variants = weight.shards.map((shard) => variantIn(recorder, { orientation, tokens, weight, shard }));
  return rank % 4 === 0 && variants.every(isTiled);
}

/** Whether forward products with a weight are made by kernels that take `gated` and `half`. */
export function takesEpilogue(recorder: Recorder, weight: Tensor, tokens: number): boolean {
  const isTiledShard = (shard: Shard) =>
    isTiled(variantIn(recorder, { orientation: 'FORWARD', tokens, weight, shard }));
  return weight.shards.length === 1 && weight.shards.every(isTiledShard);
}

/**
 * dw (+)= scale · dyᵀ x; `product.weight` is dw. Where dw is small (LoRA), the sum over tokens is split (split-K), so that
 * more than a few workgroups have something to do.
 */
export function launchLinearBackwardWeight(recorder: Recorder, dy: Slice, x: Slice, product: Product): void {
  const { weight, accumulate } = product;
  for (const shard of weight.shards) {
    const splits = splitCount(recorder.gpu, product, shard);
    if (splits === 1) {
      launchProduct(recorder, 'WEIGHT', product, shard, { bindings: [dy, x, shard], accumulate });
      continue;
    }
    const elements = shard.rows * rowLength(weight.shape);
    const partial = temporary(recorder, 'd weight, partial sums', [splits, elements]);
    launchProduct(recorder, 'WEIGHT', product, shard, {
      bindings: [dy, x, whole(partial)],
      accumulate: false,
      splits,
    });
    launchColumnSum(recorder, whole(partial), shard, { width: elements, runs: 1, accumulate });
  }
}

/** Workgroups that keep a large GPU busy, tokens that are worth a split, and bytes that all partial sums may take. */
const BUSY = { workgroups: 1024, tokens: 128, bytes: 32 * 2 ** 20 } as const;

/**
 * Partial sums that a weight's gradient is made of; 1 where the result alone keeps the adapter busy. Depends on
 * shapes alone, so that equal batches give equal bits.
 */
function splitCount(gpu: Gpu, { rows: tokens, weight }: Product, shard: Shard): number {
  // CPU adapters are busy with the first few workgroups, and their kernel takes all tokens at once.
  if (variantOf(gpu, { orientation: 'WEIGHT', tokens, weight, shard }) === 'subgroup') return 1;
  if (gpu.choices.splitK !== undefined) return gpu.choices.splitK;
  if (!gpu.profile.splitsK) return 1;
  const inner = rowLength(weight.shape);
  const tiles = Math.ceil(shard.rows / 64) * Math.ceil(inner / 64);
  const most = Math.min(tokens / BUSY.tokens, BUSY.bytes / (4 * shard.rows * inner), 64);
  return Math.max(1, Math.floor(Math.min(BUSY.workgroups / tiles, most)));
}

interface Operands extends Extras {
  /** Own operand, other operand, result, as linear_operands.wgsl names them. */
  readonly bindings: readonly [Slice, Slice, Slice];
  readonly accumulate: boolean;
  /** WEIGHT: partial sums over tokens, each with a result of its own. Default 1. */
  readonly splits?: number;
}

/** Profiles show the product, whatever kernel makes it. */
const LABELS = {
  FORWARD: 'linear_forward',
  INPUT: 'linear_backward_input',
  WEIGHT: 'linear_backward_weight',
} as const;

/** The product with one shard of the weight, by the variant that is chosen for it. */
function launchProduct(
  recorder: Recorder,
  orientation: Orientation,
  product: Product,
  shard: Shard,
  operands: Operands,
): void {
  const shape = { orientation, tokens: product.rows, weight: product.weight, shard };
  const variant = variantIn(recorder, shape);
  if (variant !== 'rows') noteProduct(recorder.gpu, shape);
  recorder.dispatch({
    label: LABELS[orientation],
    repeats: operands.splits,
    ...(variant === 'plain'
      ? plainProduct(recorder, orientation, product, shard, operands)
      : sharedProduct(recorder, variant, orientation, product, shard, operands)),
  });
}

/** Rows and columns of the result. */
function resultShape(orientation: Orientation, { rows, weight }: Product, shard: Shard) {
  const inner = rowLength(weight.shape);
  if (orientation === 'FORWARD') return { rows, columns: shard.rows };
  return { rows: orientation === 'INPUT' ? rows : shard.rows, columns: inner };
}

function plainProduct(
  recorder: Recorder,
  orientation: Orientation,
  product: Product,
  shard: Shard,
  { bindings, added, accumulate }: Operands,
): Omit<Dispatch, 'label'> {
  const { weight } = product;
  const inner = rowLength(weight.shape);
  const WORKGROUP = workgroupSize(recorder);
  const { N, K, N_STRIDE, N_OFFSET, ALPHA } = sizesOf(product, shard);
  const { rows, columns } = resultShape(orientation, product, shard);
  const isForward = orientation === 'FORWARD';
  const tile = isForward
    ? inner % 4 === 0
      ? { ROWS: 4, COLUMNS: 8 }
      : RAGGED
    : inner % 4 === 0
      ? { ROWS: 4, COLUMNS4: 2 }
      : RAGGED4;
  const tileColumns = 'COLUMNS' in tile ? tile.COLUMNS : 4 * tile.COLUMNS4;
  return {
    kernel: LABELS[orientation],
    conditions: {
      VEC4: inner % 4 === 0,
      ACCUMULATE: accumulate,
      ...(orientation === 'WEIGHT' ? {} : dtypeOf(weight)),
      ...(isForward ? addedConditions(added) : {}),
    },
    constants: { ...tile, WORKGROUP },
    overrides: { N, K, N_STRIDE, N_OFFSET, ALPHA },
    bindings: [...bindings, scalesOf(weight, shard), added?.slice],
    grid: gridOf(Math.ceil((Math.ceil(rows / tile.ROWS) * Math.ceil(columns / tileColumns)) / WORKGROUP)),
  };
}

/** Rows and columns of what a workgroup makes, and the kernel that makes it. */
interface Tile {
  readonly kernel: string;
  readonly constants: Readonly<Record<string, number>>;
  readonly rows: number;
  readonly columns: number;
}

function tileOf(recorder: Recorder, variant: Exclude<LaunchVariant, 'plain'>): Tile {
  const { gpu } = recorder;
  switch (variant) {
    case 'subgroup':
      return {
        kernel: 'linear_subgroup',
        constants: { WORKGROUP: gpu.profile.subgroupSize },
        rows: 4 * gpu.profile.subgroupSize,
        columns: 32,
      };
    case 'tiled':
    case 'tiled16':
      return { kernel: 'linear_tiled', constants: {}, rows: 64, columns: 64 };
    case 'matrices':
      return {
        kernel: 'linear_matrices',
        constants: { DEPTH: gpu.device.limits.maxComputeWorkgroupStorageSize >= 24 * 1024 ? 32 : 16 },
        rows: 128,
        columns: 128,
      };
    case 'rows':
      return takesWorkgroups(recorder)
        ? { kernel: 'linear_rows', constants: { WORKGROUP: 64 }, rows: 8, columns: 4 }
        : { kernel: 'linear_rows', constants: { WORKGROUP: 8 }, rows: 8, columns: 32 };
  }
}

/**
 * What an operand is multiplied by before it is staged in 16 bits, and the result divided by again. Gradients are small and
 * would vanish; activations of models that were trained in bf16 may exceed f16's 65504 (Gemma 2, Qwen 2.5).
 */
const STAGING = { FORWARD: 1 / 64, INPUT: 4096, WEIGHT: 4096 } as const;

function sharedProduct(
  recorder: Recorder,
  variant: Exclude<LaunchVariant, 'plain'>,
  orientation: Orientation,
  product: Product,
  shard: Shard,
  { bindings, added, lowRank, gated, half = false, accumulate }: Operands,
): Omit<Dispatch, 'label'> {
  const { gpu } = recorder;
  const tile = tileOf(recorder, variant);
  const { rows, columns } = resultShape(orientation, product, shard);
  const { N, K, N_STRIDE, N_OFFSET, ALPHA } = sizesOf(product, shard);
  const isStaged = variant === 'tiled16' || variant === 'matrices';
  const staging = isStaged ? STAGING[orientation] : 1;
  const rank = lowRank === undefined ? 0 : lowRank.other.shape[orientation === 'FORWARD' ? 1 : 0];
  const words = [N, K, N_STRIDE, N_OFFSET, rank, bitsOf(ALPHA / staging), bitsOf(staging)];
  const sizes = constantsOnGpu(gpu, Uint32Array.from(words));
  return {
    kernel: tile.kernel,
    conditions: {
      FORWARD: false,
      INPUT: false,
      WEIGHT: false,
      [orientation]: true,
      ...dtypeOf(product.weight),
      ...addedConditions(added),
      ACCUMULATE: accumulate,
      GATED: gated !== undefined,
      ...activationConditions(gated ?? {}),
      OUT_HALF: half,
      LOW_RANK: lowRank !== undefined,
      LOW_HALF: lowRank !== undefined && lowRank.other.dtype !== 'f32',
      LOW_BF16: lowRank?.other.dtype === 'bf16',
      ...(tile.kernel === 'linear_tiled' ? { STAGED_F16: isStaged } : {}),
      ...(variant === 'rows' ? { ROW_PER_WORKGROUP: takesWorkgroups(recorder) } : {}),
    },
    constants: tile.constants,
    bindings: [
      ...bindings,
      sizes,
      scalesOf(product.weight, shard),
      added?.slice,
      lowRank?.own,
      lowRank && whole(lowRank.other),
      gated?.gate,
      gated?.y,
    ],
    grid: gridOf(Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns)),
  };
}

/** Inputs: x [T, K], w [N, K], and optionally a residual [T, N] or a bias [N]. */
export const linear: Op<LinearAttributes> = {
  name: 'linear',

  launch(recorder, [x, w, added], { scale = 1 }) {
    const rows = x.shape[0];
    const y = temporary(recorder, 'linear', [rows, w.shape[0]]);
    const product = { rows, weight: w, scale, accumulate: false };
    launchLinear(recorder, whole(x), whole(y), product, { added: addedOf(added) });
    return { outputs: [y] };
  },

  // y = s x wᵀ + r:   dx = s dy w,   dw = s dyᵀ x,   dr = dy, summed over the rows for a bias
  gradient(context) {
    const {
      recorder,
      inputs: [x, w],
      outputGradients: [dy],
      attributes: { scale = 1 },
      needs,
      target,
    } = context;
    if (dy === undefined) return;
    const rows = x.shape[0];
    if (needs(0)) {
      const { tensor, accumulate } = target(0);
      const product = { rows, weight: w, scale, accumulate };
      launchLinearBackwardInput(recorder, whole(dy), whole(tensor), product);
    }
    if (needs(1)) {
      const { tensor, accumulate } = target(1);
      launchLinearBackwardWeight(recorder, whole(dy), whole(x), { rows, weight: tensor, scale, accumulate });
    }
    passToAdded(context, 2, dy);
  },

  reference([x, w, added], { scale = 1 }) {
    const [rows, inner] = x.shape;
    const columns = w.shape[0];
    const data = new Float64Array(rows * columns);
    for (let t = 0; t < rows; t++) {
      for (let n = 0; n < columns; n++) {
        let sum = 0;
        for (let k = 0; k < inner; k++) sum += x.data[t * inner + k] * w.data[n * inner + k];
        data[t * columns + n] =
          scale * sum + (added?.data[added.shape.length === 1 ? n : t * columns + n] ?? 0);
      }
    }
    return [{ shape: [rows, columns], data }];
  },
};

/** What is added to a product: one row of numbers is a bias. */
export function addedOf(tensor: Tensor | undefined): Added | undefined {
  return tensor && { slice: whole(tensor), isBias: tensor.shape.length === 1 };
}

/** The gradient of what was added to a product, given the product's own. */
export function passToAdded(
  { recorder, inputs, target, pass, needs }: GradientContext<LinearAttributes>,
  input: number,
  dy: Tensor,
): void {
  if (inputs[input] === undefined || !needs(input)) return;
  if (inputs[input].shape.length === 1) recordColumnSum(recorder, dy, target(input));
  else pass(input, dy);
}

function addedConditions(added: Added | undefined) {
  return { RESIDUAL: added?.isBias === false, BIAS: added?.isBias === true };
}

function dtypeOf({ dtype }: Tensor): Record<string, boolean> {
  return {
    W_HALF: dtype === 'f16' || dtype === 'bf16',
    W_BF16: dtype === 'bf16',
    W_I8: dtype === 'i8',
    W_NF4: dtype === 'nf4',
  };
}

/** The scales of a shard's rows, where weights are quantized. */
function scalesOf({ scales }: Tensor, { rowStart, rows }: Shard): Slice | undefined {
  return scales && whole(rowRange(scales, rowStart, rows));
}

function sizesOf({ weight, scale }: Product, shard: Shard) {
  return {
    N: shard.rows,
    K: rowLength(weight.shape),
    N_STRIDE: weight.shape[0],
    N_OFFSET: shard.rowStart,
    ALPHA: scale,
  };
}
