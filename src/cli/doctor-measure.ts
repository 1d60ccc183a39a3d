/** What the doctor measures: that a training kernel computes the right thing on this adapter, and how fast. */
import { allocateTensor, download, freeTensor, type Tensor, upload, whole } from '../autograd/tensor.ts';
import { bufferOf, type Gpu } from '../gpu/device.ts';
import { Program } from '../gpu/program.ts';
import { launchLinear } from '../ops/linear/linear.ts';

export interface Measurement {
  /** Bytes read plus bytes written per second by a buffer copy, in GB/s. */
  readonly copyGigabytesPerSecond: number;
  /** Edge of the square f32 product. */
  readonly matmulSize: number;
  readonly matmulGigaflops: number;
  /** Largest difference from the product in f64, relative to the largest value, over sampled elements. */
  readonly matmulError: number;
}

/** Tensors of a size that a CPU adapter is done with in a tenth of a second, and that keep a GPU busy. */
export async function measure(gpu: Gpu): Promise<Measurement> {
  const size = gpu.isCpu ? 384 : 2048;
  return {
    copyGigabytesPerSecond: await measureCopy(gpu, gpu.isCpu ? 2 ** 26 : 2 ** 28),
    ...(await measureMatmul(gpu, size)),
  };
}

async function measureCopy(gpu: Gpu, bytes: number): Promise<number> {
  const from = gpu.memory.allocate('doctor copy source', bytes, 'staging');
  const to = gpu.memory.allocate('doctor copy target', bytes, 'staging');
  const seconds = await bestOf(5, async () => {
    const encoder = gpu.device.createCommandEncoder();
    encoder.copyBufferToBuffer(bufferOf(from), 0, bufferOf(to), 0, bytes);
    gpu.device.queue.submit([encoder.finish()]);
    await gpu.settle();
  });
  gpu.memory.free(from);
  gpu.memory.free(to);
  return (2 * bytes) / seconds / 1e9;
}

/** y = x wᵀ with the forward kernel of every linear layer. */
async function measureMatmul(gpu: Gpu, size: number): Promise<Omit<Measurement, 'copyGigabytesPerSecond'>> {
  const make = (label: string) => allocateTensor(gpu, label, [size, size], 'f32', 'staging');
  const [x, w, y] = [make('doctor x'), make('doctor w'), make('doctor y')];
  const [xValues, wValues] = [pattern(size, 7), pattern(size, 13)];
  upload(gpu, x, xValues);
  upload(gpu, w, wValues);
  const program = await Program.build(gpu, 'doctor matmul', (recorder) =>
    launchLinear(recorder, whole(x), whole(y), { rows: size, weight: w, scale: 1, accumulate: false }),
  );
  const seconds = await bestOf(3, async () => {
    program.run();
    await gpu.settle();
  });
  const matmulError = await worstError(gpu, y, xValues, wValues, size);
  program.free();
  for (const tensor of [x, w, y]) freeTensor(gpu, tensor);
  return { matmulSize: size, matmulGigaflops: (2 * size ** 3) / seconds / 1e9, matmulError };
}

/** Compares elements spread over the whole product, first and last included, with f64 dot products. */
async function worstError(
  gpu: Gpu,
  y: Tensor,
  xValues: Float32Array,
  wValues: Float32Array,
  size: number,
): Promise<number> {
  const values = await download(gpu, y);
  const samples = 64;
  let worst = 0;
  let largest = 1e-3;
  for (let i = 0; i < samples; i++) {
    const index = Math.floor((i * (size * size - 1)) / (samples - 1));
    const [row, column] = [Math.floor(index / size), index % size];
    let sum = 0;
    for (let k = 0; k < size; k++) sum += xValues[row * size + k] * wValues[column * size + k];
    const difference = Math.abs(values[index] - sum);
    worst = Number.isFinite(difference) ? Math.max(worst, difference) : Number.POSITIVE_INFINITY;
    largest = Math.max(largest, Math.abs(sum));
  }
  return worst / largest;
}

/** Values in [-0.5, 0.5] without a visible period. */
function pattern(size: number, factor: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: size * size }, (_, i) => ((i * factor * 40503) % 65521) / 65521 - 0.5);
}

/** Seconds of the fastest of `runs`, after one that warms up. */
async function bestOf(runs: number, action: () => Promise<void>): Promise<number> {
  await action();
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    await action();
    best = Math.min(best, (performance.now() - start) / 1000);
  }
  return best;
}
