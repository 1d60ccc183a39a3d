/**
 * Measures which variant of each recorded product is fastest on this adapter. A variant that differs from the plain kernel
 * by more than its precision explains may not win, however fast it is.
 */
import {
  allocateTensor,
  type DType,
  download,
  freeTensor,
  rowLength,
  type Tensor,
  whole,
} from '../../autograd/tensor.ts';
import { randomWord } from '../../data/random.ts';
import type { ProductVariant } from '../../gpu/choices.ts';
import type { Gpu } from '../../gpu/device.ts';
import { Program, type Recorder } from '../../gpu/program.ts';
import { recordCast } from '../elementwise/fill.ts';
import { launchLinear, launchLinearBackwardInput, launchLinearBackwardWeight } from './linear.ts';
import {
  askedProducts,
  isStaged16,
  type Orientation,
  type ProductShape,
  productKey,
  variantsFor,
} from './linear-variants.ts';

/** Timed runs per variant; the median counts. */
const RUNS = 5;

/** More tokens tell nothing new about a variant, and take long. */
const MOST_TOKENS = 4096;

/** Largest difference from the plain kernel, as a share of the largest result: rounding to f16 costs 2^-11 a factor. */
function toleranceOf(variant: ProductVariant): number {
  if (variant === 'plain') return 0;
  return isStaged16(variant) ? 4e-3 : 1e-5;
}

/** What was measured for one product. */
export interface Tuned {
  readonly key: string;
  readonly winner: ProductVariant;
  readonly milliseconds: Readonly<Partial<Record<ProductVariant, number>>>;
  /** Variants whose numbers were wrong on this adapter. */
  readonly refused: readonly ProductVariant[];
}

/** Tunes every product recorded so far that was not chosen yet; winners go into `gpu.choices`. */
export async function tuneProducts(gpu: Gpu, onTuned: (tuned: Tuned) => void = () => {}): Promise<void> {
  for (const [key, shape] of askedProducts(gpu)) {
    if (gpu.choices.products.has(key)) continue;
    const variants = variantsFor(gpu, shape);
    if (variants.length === 1) continue;
    const tuned = await measure(gpu, key, shape, variants);
    gpu.choices.products.set(key, tuned.winner);
    onTuned(tuned);
  }
}

async function measure(
  gpu: Gpu,
  key: string,
  shape: ProductShape,
  variants: readonly ProductVariant[],
): Promise<Tuned> {
  const work = new Work(gpu, shape);
  const milliseconds: Partial<Record<ProductVariant, number>> = {};
  const refused: ProductVariant[] = [];
  try {
    const expected = await work.run('plain');
    const largest = expected.values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    for (const variant of variants) {
      const { values, median } = variant === 'plain' ? expected : await work.run(variant);
      const worst = values.reduce((most, v, i) => Math.max(most, Math.abs(v - expected.values[i])), 0);
      // Written so that a NaN is refused, too.
      if (!(worst <= toleranceOf(variant) * largest)) refused.push(variant);
      else milliseconds[variant] = median;
    }
  } finally {
    gpu.choices.products.delete(key);
    work.free();
  }
  const ranked = Object.entries(milliseconds).sort(([, a], [, b]) => a - b) as [ProductVariant, number][];
  return { key, winner: ranked[0][0], milliseconds, refused };
}

/** One product on operands of its own. */
class Work {
  readonly #gpu: Gpu;
  readonly #key: string;
  readonly #orientation: Orientation;
  readonly #tokens: number;
  readonly #stored: DType;
  readonly #x: Tensor;
  /** x in f16, as whoever makes it gives it to variants that stage it so. */
  #halfX: Tensor | undefined;
  readonly #y: Tensor;
  readonly #weight: Tensor;

  constructor(gpu: Gpu, shape: ProductShape) {
    const { orientation, tokens, weight, shard, stored } = shape;
    const inner = rowLength(weight.shape);
    this.#gpu = gpu;
    this.#orientation = orientation;
    this.#tokens = Math.min(tokens, MOST_TOKENS);
    this.#x = randomTensor(gpu, 'tuning x', [this.#tokens, inner], 'f32', 1);
    this.#y = randomTensor(gpu, 'tuning y', [this.#tokens, shard.rows], 'f32', 2);
    const scales =
      weight.scales &&
      randomTensor(gpu, 'tuning scales', [shard.rows, rowLength(weight.scales.shape)], 'f32', 4);
    this.#weight = { ...randomTensor(gpu, 'tuning w', [shard.rows, inner], weight.dtype, 3), scales };
    this.#stored = stored;
    this.#key = productKey({ ...shape, weight: this.#weight, shard: this.#weight.shards[0] });
  }

  /** The product by one variant: its result and the median time of a run. */
  async run(variant: ProductVariant): Promise<{ values: Float32Array; median: number }> {
    this.#gpu.choices.products.set(this.#key, variant);
    const halfX = isStaged16(variant) && this.#orientation !== 'INPUT' ? await this.#inHalf() : undefined;
    const program = await Program.build(this.#gpu, `tuning ${this.#key}`, (recorder) =>
      this.#record(recorder, halfX),
    );
    program.run();
    await this.#gpu.settle();
    const times: number[] = [];
    for (let i = 0; i < RUNS; i++) times.push(await this.#timed(program));
    program.free();
    const values = await download(this.#gpu, this.#result);
    return { values, median: times.sort((a, b) => a - b)[RUNS >> 1] };
  }

  /** Milliseconds of one run: by the GPU's own clock where it has one, else by ours around a submit. */
  async #timed(program: Program): Promise<number> {
    if (this.#gpu.has('timestamp-query'))
      return (await program.profile()).reduce((sum, { nanoseconds }) => sum + nanoseconds, 0) / 1e6;
    const start = performance.now();
    program.run();
    await this.#gpu.settle();
    return performance.now() - start;
  }

  get #result(): Tensor {
    return { FORWARD: this.#y, INPUT: this.#x, WEIGHT: this.#weight }[this.#orientation];
  }

  async #inHalf(): Promise<Tensor> {
    if (this.#halfX !== undefined) return this.#halfX;
    const copy = allocateTensor(this.#gpu, 'tuning x in f16', this.#x.shape, 'f16', 'state');
    this.#halfX = copy;
    const program = await Program.build(this.#gpu, 'tuning x', (recorder) =>
      recordCast(recorder, this.#x, copy),
    );
    program.run();
    await this.#gpu.settle();
    program.free();
    return copy;
  }

  /** @param halfX read in the place of x, if given */
  #record(recorder: Recorder, halfX: Tensor | undefined): void {
    const product = {
      rows: this.#tokens,
      weight: this.#weight,
      // What is stored in f16 counts 64 times (`half_input` of kernels/shared/half.wgsl).
      scale: halfX === undefined ? 1 : 1 / 64,
      accumulate: false,
      stored: this.#stored,
      x: halfX?.dtype,
    };
    const [x, y] = [whole(halfX ?? this.#x), whole(this.#y)];
    if (this.#orientation === 'FORWARD') launchLinear(recorder, x, y, product);
    else if (this.#orientation === 'INPUT') launchLinearBackwardInput(recorder, y, x, product);
    else launchLinearBackwardWeight(recorder, y, x, product);
  }

  free(): void {
    for (const tensor of [this.#x, this.#halfX, this.#y, this.#weight])
      if (tensor !== undefined) freeTensor(this.#gpu, tensor);
  }
}

/**
 * Values that repeat: drawing every one of a large weight would take longer than measuring. The period is a prime, so that no
 * two rows of any width are alike, and a kernel that confuses rows is found out.
 */
const PERIOD = 4099;

function randomTensor(
  gpu: Gpu,
  label: string,
  shape: readonly number[],
  dtype: Tensor['dtype'],
  stream: number,
): Tensor {
  const tensor = allocateTensor(gpu, label, shape, dtype, 'state');
  const words = Uint32Array.from({ length: PERIOD }, (_, i) => wordOf(dtype, stream, i));
  for (const shard of tensor.shards)
    for (let at = 0; at < shard.byteLength; at += 4 * PERIOD)
      gpu.write(shard, words.subarray(0, Math.min(PERIOD, (shard.byteLength - at) / 4)), at);
  return tensor;
}

/** A random word whose one f32, or whose two 16-bit floats, lie between 1/8 and 2 in size. */
function wordOf(dtype: Tensor['dtype'], stream: number, i: number): number {
  const random = randomWord(stream, 0, i);
  // Sign and mantissa stay random; of the exponent only the lowest two bits do.
  switch (dtype) {
    case 'bf16':
      return ((random & 0x80ff80ff) | 0x3e003e00) >>> 0;
    case 'f16':
      return ((random & 0x8fff8fff) | 0x30003000) >>> 0;
    case 'i8':
    case 'nf4':
      return random >>> 0;
    default:
      return ((random & 0x80ffffff) | 0x3e000000) >>> 0;
  }
}
