/**
 * linear: y = x wᵀ (+ residual or bias), the product every layer is made of. x [T, K], w [N, K], y [T, N].
 *
 * The three products (forward, gradient of x, gradient of w) read w as it lies in the checkpoint. Shards of w are
 * ranges of output columns.
 */
import type { GradientContext, Op } from '../../autograd/op.ts';
import { type DType, rowLength, type Shard, type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { Slice } from '../../gpu/memory.ts';
import type { Recorder } from '../../gpu/program.ts';
import { launchRotary, type RotaryAttributes, rotary as rotaryOp } from '../elementwise/rotary.ts';
import { takesWorkgroups } from '../launch.ts';
import { launchColumnSum, recordColumnSum } from '../reduction/column-sum.ts';
import {
  type Added,
  type Extras,
  type LowRank,
  launchProduct,
  type Product,
  shapeOf,
} from './linear-product.ts';
import { isStaged16, isTiled, type Orientation, variantIn, variantOf } from './linear-variants.ts';

export type { ColumnRange, LowRank } from './linear-product.ts';

export interface LinearAttributes {
  /** Factor on the product alone, not on what is added: LoRA's alpha / r. Default 1. */
  readonly scale?: number;
  /** Turns the heads of the result, bias included. Not together with a residual. */
  readonly rotary?: RotaryAttributes | undefined;
}

/**
 * y (+)= scale · x wᵀ (+ own otherᵀ) (+ residual or bias), one dispatch per shard of w. `y` may be a slice of scratch memory;
 * kernels take the number of rows from the length of their bindings, so slices must be exact. With `rotary`, which is not for
 * sums that are added to others, y is turned: by the dispatches of the product where they can, or by one more.
 */
export function launchLinear(
  recorder: Recorder,
  x: Slice,
  y: Slice,
  product: Product,
  extras: Extras = {},
): void {
  const { added, lowRank, gated, paired, half, rotary } = extras;
  if (rotary !== undefined && !turnsHeads(recorder, product, extras, rotary)) {
    const columns = product.weight.shape[0];
    const straight = whole(temporary(recorder, 'linear', [product.rows, columns]));
    launchLinear(recorder, x, straight, product, { ...extras, rotary: undefined });
    launchRotary(recorder, straight, y, columns, rotary);
    return;
  }
  const fused = fusesLowRank(recorder, 'FORWARD', product, lowRank?.other) ? lowRank : undefined;
  for (const shard of product.weight.shards)
    launchProduct(recorder, 'FORWARD', product, shard, {
      own: x,
      other: shard,
      out: y,
      added,
      lowRank: fused,
      gated,
      paired,
      half,
      rotary,
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
  const fused = fusesLowRank(recorder, 'INPUT', product, lowRank?.other) ? lowRank : undefined;
  product.weight.shards.forEach((shard, i) => {
    launchProduct(recorder, 'INPUT', product, shard, {
      own: dy,
      other: shard,
      out: dx,
      lowRank: i === 0 ? fused : undefined,
      accumulate: product.accumulate || i > 0,
    });
  });
  if (lowRank !== undefined && fused === undefined)
    launchLinearBackwardInput(recorder, lowRank.own, dx, lowRankProduct(product, lowRank));
}

/** The pair on its own, added to what the base product made. */
function lowRankProduct({ rows }: Product, { other, range }: LowRank): Product {
  if (range !== undefined) throw new RangeError(`${other.label}: only fused pairs take a range of columns.`);
  return { rows, weight: other, scale: 1, accumulate: true };
}

/** Whether one dispatch makes the base product and its LoRA pair. */
function fusesLowRank(
  recorder: Recorder,
  orientation: Orientation,
  product: Product,
  other: Tensor | undefined,
): boolean {
  const { weight, scale } = product;
  if (other === undefined || scale !== 1 || other.shards.length > 1) return false;
  const rank = other.shape[orientation === 'FORWARD' ? 1 : 0];
  const variants = weight.shards.map((shard) => variantIn(recorder, shapeOf(orientation, product, shard)));
  return rank % 4 === 0 && variants.every(isTiled);
}

/** Storage buffers of a product with quantized weights, a bias, a LoRA pair and rotary; one limit for all, so that all take the same. */
const TURNED_BINDINGS = 10;

/** Whether every dispatch of a forward product has all of the sum in its epilogue, and whole heads of it. */
function turnsHeads(
  recorder: Recorder,
  product: Product,
  { lowRank }: Extras,
  { headDim }: RotaryAttributes,
): boolean {
  const { limits } = recorder.gpu.device;
  const isTurned = (shard: Shard) => {
    const variant = variantIn(recorder, shapeOf('FORWARD', product, shard));
    const hasEpilogue = variant === 'rows' ? takesWorkgroups(recorder) : isTiled(variant);
    return hasEpilogue && shard.rowStart % headDim === 0 && shard.rows % headDim === 0;
  };
  return (
    headDim % 4 === 0 &&
    limits.maxStorageBuffersPerShaderStage >= TURNED_BINDINGS &&
    (lowRank === undefined || fusesLowRank(recorder, 'FORWARD', product, lowRank.other)) &&
    product.weight.shards.every(isTurned)
  );
}

/** Whether x wᵀ + low bᵀ is one dispatch, also where low is a range of columns. Says the same for any number of tokens. */
export function fusesPair(recorder: Recorder, tokens: number, weight: Tensor, b: Tensor): boolean {
  const product = { rows: tokens, weight, scale: 1, accumulate: false };
  // As `turnsHeads`: few rows have such epilogues where a workgroup makes them.
  const hasEpilogue = !recorder.hasFewRows || takesWorkgroups(recorder);
  return hasEpilogue && fusesLowRank(recorder, 'FORWARD', product, b);
}

/** Whether forward products with a weight are made by kernels that take `gated` and `half`. */
export function takesEpilogue(recorder: Recorder, weight: Tensor, tokens: number): boolean {
  const isTiledShard = (shard: Shard) =>
    isTiled(variantIn(recorder, { orientation: 'FORWARD', tokens, weight, shard, stored: weight.dtype }));
  return weight.shards.length === 1 && weight.shards.every(isTiledShard);
}

/**
 * Whether every forward product with these weights stages x in 16 bits, so that whoever makes x may store it so: nothing of
 * the results changes. Few rows do only on tensor cores, the kernels of CPU adapters never.
 */
export function stagesInputs(recorder: Recorder, weights: readonly Tensor[], tokens: number): boolean {
  return weights.every((weight) =>
    weight.shards.every((shard) =>
      isStaged16(
        variantIn(recorder, { orientation: 'FORWARD', tokens, weight, shard, stored: weight.dtype }),
      ),
    ),
  );
}

/** A gradient product that reads dy; of a weight's own gradient, `weight` is where it goes. */
export interface GradientProduct {
  readonly orientation: 'INPUT' | 'WEIGHT';
  readonly weight: Tensor;
  readonly stored: DType;
}

/** Whether all of them stage dy in 16 bits, so that whoever makes dy may store it so (`half_gradient`): nothing of the results changes. */
export function stagesGradient(
  recorder: Recorder,
  products: readonly GradientProduct[],
  tokens: number,
): boolean {
  return products.every((product) =>
    product.weight.shards.every((shard) => isStaged16(variantIn(recorder, { ...product, tokens, shard }))),
  );
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
      launchProduct(recorder, 'WEIGHT', product, shard, { own: dy, other: x, out: shard, accumulate });
      continue;
    }
    const elements = shard.rows * rowLength(weight.shape);
    const partial = temporary(recorder, 'd weight, partial sums', [splits, elements]);
    launchProduct(recorder, 'WEIGHT', product, shard, {
      own: dy,
      other: x,
      out: whole(partial),
      accumulate: false,
      splits,
    });
    launchColumnSum(recorder, whole(partial), shard, { width: elements, splits: 1, accumulate });
  }
}

/** Workgroups that keep a large GPU busy, tokens that are worth a split, and bytes that all partial sums may take. */
const BUSY = { workgroups: 1024, tokens: 128, bytes: 32 * 2 ** 20 } as const;

/**
 * Partial sums that a weight's gradient is made of; 1 where the result alone keeps the adapter busy. Depends on
 * shapes alone, so that equal batches give equal bits.
 */
function splitCount(gpu: Gpu, product: Product, shard: Shard): number {
  const { rows: tokens, weight } = product;
  // CPU adapters are busy with the first few workgroups, and their kernel takes all tokens at once.
  if (variantOf(gpu, shapeOf('WEIGHT', product, shard)) === 'subgroup') return 1;
  if (gpu.choices.splitK !== undefined) return gpu.choices.splitK;
  if (!gpu.profile.splitsK) return 1;
  const inner = rowLength(weight.shape);
  const tiles = Math.ceil(shard.rows / 64) * Math.ceil(inner / 64);
  const most = Math.min(tokens / BUSY.tokens, BUSY.bytes / (4 * shard.rows * inner), 64);
  return Math.max(1, Math.floor(Math.min(BUSY.workgroups / tiles, most)));
}

/** Inputs: x [T, K], w [N, K], and optionally a residual [T, N] or a bias [N]. */
export const linear: Op<LinearAttributes> = {
  name: 'linear',

  launch(recorder, [x, w, added], { scale = 1, rotary }) {
    const rows = x.shape[0];
    const y = temporary(recorder, 'linear', [rows, w.shape[0]]);
    const product = { rows, weight: w, scale, accumulate: false, x: x.dtype };
    launchLinear(recorder, whole(x), whole(y), product, { added: addedOf(added), rotary });
    return { outputs: [y] };
  },

  // y = s x wᵀ + r:   dx = s dy w,   dw = s dyᵀ x,   dr = dy, summed over the rows for a bias; with dy turned back before
  gradient(context) {
    const {
      recorder,
      inputs: [x, w],
      attributes: { scale = 1 },
      needs,
      target,
    } = context;
    const dy = gradientOfSum(context);
    if (dy === undefined) return;
    const rows = x.shape[0];
    if (needs(0)) {
      const { tensor, accumulate } = target(0);
      const product = { rows, weight: w, scale, accumulate };
      launchLinearBackwardInput(recorder, whole(dy), whole(tensor), product);
    }
    if (needs(1)) {
      const { tensor, accumulate } = target(1);
      launchLinearBackwardWeight(recorder, whole(dy), whole(x), {
        rows,
        weight: tensor,
        scale,
        accumulate,
        stored: w.dtype,
        x: x.dtype,
      });
    }
    passToAdded(context, 2, dy);
  },

  reference([x, w, added], { scale = 1, rotary }, index) {
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
    const y = { shape: [rows, columns], data };
    return rotary === undefined ? [y] : rotaryOp.reference([y], rotary, index);
  },
};

/** The gradient of what was added up, given that of the op's result: turned back where the result was turned. */
export function gradientOfSum({
  recorder,
  outputGradients: [dy],
  attributes: { rotary },
}: GradientContext<LinearAttributes>): Tensor | undefined {
  return dy && turnedBack(recorder, dy, rotary);
}

/** dy [T, N], or where the product was turned a temporary with dy turned back. */
export function turnedBack(recorder: Recorder, dy: Tensor, rotary: RotaryAttributes | undefined): Tensor {
  if (rotary === undefined) return dy;
  const straight = temporary(recorder, 'd linear', dy.shape);
  launchRotary(recorder, whole(dy), whole(straight), dy.shape[1], rotary, { direction: -1 });
  return straight;
}

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
