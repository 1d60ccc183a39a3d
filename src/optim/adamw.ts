/**
 * AdamW over parameter slabs. One program per run: gradient norm, update of every slab, objective state, metrics.
 * The learning rate and the bias corrections of a step come from the host in one 40-byte write.
 */
import {
  allocateTensor,
  bytesPerElement,
  freeTensor,
  type Tensor,
  temporary,
  upload,
  whole,
} from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Slice, Storage } from '../gpu/memory.ts';
import type { Recorder } from '../gpu/program.ts';
import type { Slab } from '../nn/parameters.ts';
import { gridFor, workgroupSize } from '../ops/launch.ts';
import { HostMoments, type SlabPart } from './host-moments.ts';

export interface AdamWSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Global norm to clip gradients to; 0 clips nothing. */
  readonly maxGradNorm: number;
  /** Where the moments are kept. */
  readonly moments: 'gpu' | 'host';
}

/** Partial sums of squares are kept in rows of this many. */
const COLUMNS = 256;

/** Rows of partial sums for a slab: one for every 2^16 elements, at most 256. Depends on nothing else, as the bits do. */
function partialRows(slab: Slab): number {
  return Math.min(256, Math.ceil(slab.length / 2 ** 16));
}

export class AdamW {
  /** f32 [4]: gradient norm, clip scale, 1 while every norm so far was finite, and 1 once one was not. */
  readonly norm: Tensor;
  readonly #gpu: Gpu;
  readonly #slabs: readonly Slab[];
  readonly #settings: AdamWSettings;
  readonly #onGpu: Tensor;
  readonly #host: HostMoments | undefined;

  constructor(gpu: Gpu, slabs: readonly Slab[], settings: AdamWSettings) {
    this.#gpu = gpu;
    this.#slabs = slabs;
    this.#settings = settings;
    this.norm = allocateTensor(gpu, 'gradient norm', [4], 'f32', 'state');
    this.#onGpu = allocateTensor(gpu, 'optimizer settings', [10], 'f32', 'state');
    if (settings.moments === 'host')
      this.#host = new HostMoments(gpu, slabs, (recorder, part) => this.#recordUpdate(recorder, part));
  }

  /** GPU memory that `place` takes. */
  get missingBytes(): number {
    if (this.#host !== undefined) return this.#host.missingBytes;
    return this.#unplaced().reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** Gives the moments their memory, filled with zeros; moments that have some keep it. */
  place(): void {
    for (const storage of this.#unplaced()) this.#gpu.memory.place(storage, this.#settings.moments);
    this.#host?.place();
  }

  /** Compiles what `update` runs. */
  async bind(): Promise<void> {
    await this.#host?.bind();
  }

  /** To be called after what `record` recorded has run: updates what it left to be updated from host memory. */
  async update(): Promise<void> {
    await this.#host?.update();
  }

  free(): void {
    for (const tensor of [this.norm, this.#onGpu]) freeTensor(this.#gpu, tensor);
    this.#host?.free();
  }

  #unplaced(): Storage[] {
    return this.#slabs
      .flatMap((slab) => [slab.firstMoment, slab.secondMoment].map((t) => whole(t).storage))
      .filter(({ buffer, host }) => buffer === undefined && host === undefined);
  }

  /** @param step number of this update, counted from 1. */
  configure(step: number, learningRate: number): void {
    const { beta1, beta2, epsilon, weightDecay, maxGradNorm } = this.#settings;
    const corrections = [1 - beta1 ** step, 1 - beta2 ** step];
    const rest = [maxGradNorm, 1 - beta1, 1 - beta2];
    const values = [learningRate, beta1, beta2, epsilon, weightDecay, ...corrections, ...rest];
    upload(this.#gpu, this.#onGpu, new Float32Array(values));
  }

  /** Records the gradient norm over all slabs, then the update of each whose moments are on the GPU. */
  record(recorder: Recorder): void {
    this.#recordNorm(recorder);
    if (this.#host !== undefined) return;
    for (const slab of this.#slabs) {
      const [firstMoment, secondMoment] = [whole(slab.firstMoment), whole(slab.secondMoment)];
      this.#recordUpdate(recorder, { slab, start: 0, length: slab.length, firstMoment, secondMoment });
    }
  }

  #recordUpdate(recorder: Recorder, part: SlabPart): void {
    const { slab, start, length, firstMoment, secondMoment } = part;
    const { master, gradient, copy, weightDecay } = slab;
    const of = (tensor: Tensor): Slice => {
      const size = bytesPerElement(tensor.dtype);
      return { ...whole(tensor), byteOffset: size * start, byteLength: size * length };
    };
    recorder.dispatch({
      label: 'adamw',
      kernel: 'adamw',
      conditions: { COPY: copy !== undefined, COPY_BF16: copy?.dtype === 'bf16' },
      constants: { WORKGROUP: workgroupSize(recorder) },
      overrides: { DECAYS: weightDecay ? 1 : 0 },
      bindings: [
        of(master),
        of(gradient),
        firstMoment,
        secondMoment,
        whole(this.norm),
        whole(this.#onGpu),
        ...(copy === undefined ? [] : [of(copy)]),
      ],
      grid: gridFor(recorder, length / 4),
    });
  }

  /** Squares of every slab to rows of partial sums, rows to one row, that row to the norm; always in the same order. */
  #recordNorm(recorder: Recorder): void {
    const constants = { WORKGROUP: workgroupSize(recorder) };
    const rows = this.#slabs.reduce((sum, slab) => sum + partialRows(slab), 0);
    const partial = temporary(recorder, 'sums of squares', [rows, COLUMNS]);
    const sums = temporary(recorder, 'sums of squares by column', [COLUMNS]);
    let row = 0;
    for (const slab of this.#slabs) {
      const splits = partialRows(slab) * COLUMNS;
      recorder.dispatch({
        label: 'gradient_norm_partial',
        kernel: 'gradient_norm_partial',
        constants,
        bindings: [
          whole(slab.gradient),
          { ...whole(partial), byteOffset: 4 * COLUMNS * row, byteLength: 4 * splits },
        ],
        grid: gridFor(recorder, splits),
      });
      row += partialRows(slab);
    }
    recorder.dispatch({
      label: 'column_sum',
      kernel: 'column_sum',
      conditions: { ACCUMULATE: false },
      constants,
      overrides: { H: COLUMNS },
      bindings: [partial, sums].map(whole),
      grid: gridFor(recorder, COLUMNS),
    });
    recorder.dispatch({
      label: 'gradient_norm',
      kernel: 'gradient_norm',
      bindings: [sums, this.#onGpu, this.norm].map(whole),
      grid: [1, 1],
    });
  }
}
