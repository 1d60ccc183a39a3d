/** One product with one shard of a weight: the launch of the variant that is chosen for it. */
import { type DType, rowLength, rowRange, type Shard, type Tensor, whole } from '../../autograd/tensor.ts';
import type { Slice } from '../../gpu/memory.ts';
import { gridOf, type Recorder } from '../../gpu/program.ts';
import { bitsOf, constantsOnGpu } from '../constants.ts';
import { activationConditions, type GluAttributes } from '../elementwise/glu.ts';
import type { RotaryAttributes } from '../elementwise/rotary.ts';
import { sharesRows, takesWorkgroups, workgroupSize } from '../launch.ts';
import { normInto, normVariant } from '../norm/deferred-norm.ts';
import {
  isStaged16,
  isTiled,
  type LaunchVariant,
  noteProduct,
  type Orientation,
  type ProductShape,
  variantIn,
} from './linear-variants.ts';
import { rowsLaunch } from './matrix-rows.ts';
import { matrixLaunch } from './matrix-tiles.ts';

export interface Product {
  readonly rows: number;
  /** [N, K]; of a weight's gradient, the gradient. */
  readonly weight: Tensor;
  readonly scale: number;
  readonly accumulate: boolean;
  /** What the layer's weight is stored in, of which its gradient, f32, says nothing. Default: the dtype of `weight`. */
  readonly stored?: DType;
  /** What x is stored in: f32, the default, or f16 as `half_input` makes it (kernels/shared/half.wgsl) where `stagesInputs` allows it. */
  readonly x?: DType | undefined;
  /** What dy is stored in, likewise: f16 as `half_gradient` makes it where every product that reads it stages it so. */
  readonly dy?: DType;
  /** Where dx, and x of a weight's gradient, lie in wider rows. Default: they are whole rows. */
  readonly range?: ColumnRange | undefined;
}

/** Columns from `first` on in rows of `width`. How many they are follows from what they are multiplied with. */
export interface ColumnRange {
  readonly first: number;
  readonly width: number;
}

/** A LoRA pair in the same sum: `own` [rows, R] holds its factor already, `other` is B [N, R] forward, A [R, K] backward. */
export interface LowRank {
  readonly own: Slice;
  readonly other: Tensor;
  /** Where the pair's columns lie in wider rows of `own`. Default: they are whole rows. */
  readonly range?: ColumnRange | undefined;
}

/** A residual [T, N], or a bias [N] for every row. */
export interface Added {
  readonly slice: Slice;
  readonly isBias: boolean;
}

/** What a product may carry besides itself. */
export interface Extras {
  readonly added?: Added;
  readonly lowRank?: LowRank;
  readonly gated?: Gated;
  readonly paired?: Paired;
  /** Stores the result, and finds the gate, as packed f16. */
  readonly half?: boolean;
  /** Turns the heads of all that is added up, without `accumulate`, a residual or another epilogue: see `turnsHeads`. */
  readonly rotary?: RotaryAttributes;
}

/** The epilogue of a feed-forward block: y = f(gate) · result. */
interface Gated extends GluAttributes {
  readonly gate: Slice;
  readonly y: Slice;
}

/** The upper half of a feed-forward block in one product: the result is f(x gateᵀ) · result. Of few rows whose loads are shared. */
interface Paired extends GluAttributes {
  /** As the product's weight. */
  readonly gateWeight: Tensor;
}

/**
 * Tiles where K is no multiple of 4: every element has its own bounds check there, and unrolled large tiles of them take a
 * CPU adapter seconds to compile.
 */
const RAGGED = { ROWS: 2, COLUMNS: 2 };
const RAGGED4 = { ROWS: 2, COLUMNS4: 1 };

export interface Operands extends Extras {
  /** The operands and the result, as linear_operands.wgsl names them. */
  readonly own: Slice;
  readonly other: Slice;
  readonly out: Slice;
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

/** What the choice of a variant depends on. */
export function shapeOf(orientation: Orientation, product: Product, shard: Shard): ProductShape {
  const { rows: tokens, weight, stored = weight.dtype } = product;
  return { orientation, tokens, weight, shard, stored };
}

/** The product with one shard of the weight, by the variant that is chosen for it. */
export function launchProduct(
  recorder: Recorder,
  orientation: Orientation,
  product: Product,
  shard: Shard,
  operands: Operands,
): void {
  const shape = shapeOf(orientation, product, shard);
  const chosen = variantIn(recorder, shape);
  // The others take whole rows.
  const variant = product.range === undefined || isTiled(chosen) ? chosen : 'tiled';
  if (variant !== 'rows' && variant !== 'rows_matrices') noteProduct(recorder.gpu, shape);
  if (ownDType(orientation, product) === 'f16' && !isTiled(variant))
    throw new RangeError(`${variant} takes no x or dy in f16.`);
  if (variant === 'plain') launchPlain(recorder, orientation, product, shard, operands);
  else launchShared(recorder, variant, orientation, product, shard, operands);
}

/** Rows and columns of the result. */
function resultShape(orientation: Orientation, { rows, weight }: Product, shard: Shard) {
  const inner = rowLength(weight.shape);
  if (orientation === 'FORWARD') return { rows, columns: shard.rows };
  return { rows: orientation === 'INPUT' ? rows : shard.rows, columns: inner };
}

/** Rows x columns of the result that an invocation makes; columns in vec4s where it stores them so. */
function plainTile(orientation: Orientation, isVec4: boolean) {
  if (orientation === 'FORWARD') return isVec4 ? { ROWS: 4, COLUMNS: 8 } : RAGGED;
  return isVec4 ? { ROWS: 4, COLUMNS4: 2 } : RAGGED4;
}

function launchPlain(
  recorder: Recorder,
  orientation: Orientation,
  product: Product,
  shard: Shard,
  { own, other, out, added, accumulate, splits }: Operands,
): void {
  const { weight } = product;
  const { rows, columns } = resultShape(orientation, product, shard);
  const WORKGROUP = workgroupSize(recorder);
  const VEC4 = rowLength(weight.shape) % 4 === 0;
  const tile = plainTile(orientation, VEC4);
  const tileColumns = 'COLUMNS' in tile ? tile.COLUMNS : 4 * tile.COLUMNS4;
  const common = {
    label: LABELS[orientation],
    flops: 2 * product.rows * shard.rows * rowLength(weight.shape),
    grid: gridOf(Math.ceil((Math.ceil(rows / tile.ROWS) * Math.ceil(columns / tileColumns)) / WORKGROUP)),
  };
  const conditions = { VEC4, ACCUMULATE: accumulate, ...otherConditions(orientation, product) };
  const { N, K, N_STRIDE, N_OFFSET, ALPHA } = sizesOf(orientation, product, shard);
  const words = Uint32Array.of(N, K, N_STRIDE, N_OFFSET, bitsOf(ALPHA));
  const bindings = {
    own,
    other,
    out,
    sizes: constantsOnGpu(recorder.gpu, words),
    scales: scalesOf(weight, shard),
  };
  if ('COLUMNS' in tile) {
    recorder.launch({
      kernel: 'linear_forward',
      ...common,
      conditions: { ...conditions, ...addedConditions(added) },
      constants: { ...tile, WORKGROUP },
      bindings: { ...bindings, residual: added?.slice },
    });
    return;
  }
  recorder.launch({
    kernel: 'linear_backward',
    ...common,
    conditions: { ...conditions, [orientation]: true },
    constants: { ...tile, WORKGROUP },
    bindings,
    repeats: splits,
  });
}

/**
 * What an operand is multiplied by before it is staged in 16 bits, and the result divided by again. Gradients are small and
 * would vanish; activations of models that were trained in bf16 may exceed f16's 65504 (Gemma 2, Qwen 2.5). `half_input` stores
 * the inputs of forward products with the same factor, `half_gradient` gradients.
 */
const STAGING = { FORWARD: 1 / 64, INPUT: 4096, WEIGHT: 4096 } as const;

/** The kernels of linear_operands.wgsl: sizes are data, and all but 'subgroup' take LoRA pairs and epilogues as well. */
function launchShared(
  recorder: Recorder,
  variant: Exclude<LaunchVariant, 'plain'>,
  orientation: Orientation,
  product: Product,
  shard: Shard,
  operands: Operands,
): void {
  const { gpu } = recorder;
  const { own, other, out, added, lowRank, gated, half = false, rotary, accumulate, splits } = operands;
  const { rows, columns } = resultShape(orientation, product, shard);
  const { N, K, N_STRIDE, N_OFFSET, ALPHA } = sizesOf(orientation, product, shard);
  const isStaged = isStaged16(variant);
  const staging = isStaged ? STAGING[orientation] : 1;
  const rank = lowRank === undefined ? 0 : lowRank.other.shape[orientation === 'FORWARD' ? 1 : 0];
  const kRange = product.range ?? { first: 0, width: K };
  const lowRange = lowRank?.range ?? { first: 0, width: rank };
  const words = [N, K, N_STRIDE, N_OFFSET, rank, bitsOf(ALPHA / staging), bitsOf(staging)];
  words.push(kRange.width, kRange.first, lowRange.width, lowRange.first);
  const common = {
    label: LABELS[orientation],
    repeats: splits,
    flops: 2 * product.rows * N * K + 2 * rows * columns * rank,
    bindings: {
      own,
      other,
      out,
      sizes: constantsOnGpu(gpu, Uint32Array.from(words)),
      scales: scalesOf(product.weight, shard),
      residual: added?.slice,
      low_own: lowRank?.own,
      low_other: lowRank && whole(lowRank.other),
      gate: gated?.gate,
      activation: gated?.y,
      positions: rotary && whole(rotary.positions),
      turns: rotary && whole(rotary.table),
    },
  };
  const turned = rotary === undefined ? {} : { HEAD4: rotary.headDim / 4 };
  const SIZED = gpu.choices.sizedProducts ?? gpu.profile.sizesMatrices;
  const sized = { ...turned, ...(SIZED && { N, K, N_STRIDE, ...(rank > 0 && { R: rank }) }) };
  const conditions = {
    [orientation]: true,
    ...otherConditions(orientation, product),
    OWN_HALF: ownDType(orientation, product) === 'f16',
    ...addedConditions(added),
    ...activationConditions(gated ?? {}),
    ACCUMULATE: accumulate,
    GATED: gated !== undefined,
    ACTIVATION_HALF: gated?.half === true,
    OUT_HALF: half,
    TURNED: rotary !== undefined,
    LOW_RANK: lowRank !== undefined,
    LOW_HALF: lowRank !== undefined && lowRank.other.dtype !== 'f32',
    LOW_BF16: lowRank?.other.dtype === 'bf16',
    LOW_RANGED: lowRank?.range !== undefined,
    K_RANGED: product.range !== undefined,
  };
  const gridOfTiles = (tileRows: number, tileColumns: number) =>
    gridOf(Math.ceil(rows / tileRows) * Math.ceil(columns / tileColumns));
  switch (variant) {
    case 'subgroup': {
      const WORKGROUP = gpu.profile.subgroupSize;
      const grid = gridOfTiles(4 * WORKGROUP, 32);
      recorder.launch({ kernel: 'linear_subgroup', ...common, conditions, constants: { WORKGROUP }, grid });
      return;
    }
    case 'tiled':
    case 'tiled16': {
      const staged = { ...conditions, STAGED_F16: isStaged, ROLLED: gpu.profile.rollsTiles };
      const grid = gridOfTiles(64, 64);
      recorder.launch({ kernel: 'linear_tiled', ...common, conditions: staged, overrides: turned, grid });
      return;
    }
    case 'matrices':
    case 'matrices_pipelined':
    case 'matrices_shallow':
    case 'matrices_wide':
    case 'matrices_narrow': {
      const { constants, tile } = matrixLaunch(gpu, variant);
      recorder.launch({
        kernel: 'linear_matrices',
        ...common,
        conditions: { ...conditions, SIZED },
        constants,
        overrides: sized,
        grid: gridOfTiles(tile.rows, tile.columns),
      });
      return;
    }
    case 'rows_matrices': {
      const { constants, tile } = rowsLaunch(gpu, rows);
      recorder.launch({
        kernel: 'linear_rows_matrices',
        ...common,
        conditions: { ...conditions, SIZED },
        constants,
        overrides: sized,
        grid: gridOfTiles(tile.rows, tile.columns),
      });
      return;
    }
    case 'rows': {
      if (sharesRows(recorder)) {
        const { paired } = operands;
        const elements = (paired === undefined ? 1 : 2) * N * K;
        const norm = lowRank === undefined ? normInto(own, elements) : undefined;
        const normed = normVariant(norm);
        const WORKGROUP = gpu.profile.subgroupSize;
        recorder.launch({
          kernel: 'linear_rows_subgroup',
          ...common,
          flops: (paired === undefined ? 1 : 2) * common.flops,
          conditions: {
            ...conditions,
            ...activationConditions(paired ?? gated ?? {}),
            ...normed.conditions,
            PAIRED: paired !== undefined,
          },
          overrides: normed.overrides,
          constants: { WORKGROUP },
          bindings: {
            ...common.bindings,
            ...pairedBindings(paired),
            own: norm?.x ?? own,
            norm_w: norm?.w,
          },
          grid: gridOfTiles(8, 4 * WORKGROUP),
        });
        return;
      }
      const ROW_PER_WORKGROUP = takesWorkgroups(recorder);
      recorder.launch({
        kernel: 'linear_rows',
        ...common,
        conditions: { ...conditions, ROW_PER_WORKGROUP },
        overrides: turned,
        constants: { WORKGROUP: ROW_PER_WORKGROUP ? 64 : 8 },
        grid: gridOfTiles(8, ROW_PER_WORKGROUP ? 4 : 32),
      });
    }
  }
}

function pairedBindings(paired: Paired | undefined) {
  if (paired === undefined) return {};
  const { gateWeight } = paired;
  return {
    gate_weight: whole(gateWeight),
    gate_scales: gateWeight.scales && whole(gateWeight.scales),
  };
}

function addedConditions(added: Added | undefined) {
  return { RESIDUAL: added?.isBias === false, BIAS: added?.isBias === true };
}

/** What x is stored in or, for both gradients, dy. */
function ownDType(orientation: Orientation, { x = 'f32', dy = 'f32' }: Product): DType {
  return orientation === 'FORWARD' ? x : dy;
}

/** Of the operand that is the weight or, for its gradient, x. */
function otherConditions(orientation: Orientation, { weight, x = 'f32' }: Product) {
  const dtype = orientation === 'WEIGHT' ? x : weight.dtype;
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

function sizesOf(orientation: Orientation, { weight, scale, x }: Product, shard: Shard) {
  const isHalfInput = orientation === 'WEIGHT' && x === 'f16';
  return {
    N: shard.rows,
    K: rowLength(weight.shape),
    N_STRIDE: weight.shape[0],
    N_OFFSET: shard.rowStart,
    ALPHA: isHalfInput ? scale / STAGING.FORWARD : scale,
  };
}
