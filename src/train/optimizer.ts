/**
 * AdamW over parameter slabs. One program per run: gradient norm, update of every slab, objective state, metrics.
 * The learning rate and the bias corrections of a step come from the host in one 40-byte write.
 */
import { allocateTensor, freeTensor, type Tensor, temporary, upload, whole } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Recorder } from '../gpu/program.ts';
import type { Slab } from '../nn/parameters.ts';
import { gridFor, workgroupSize } from '../ops/launch.ts';

export interface AdamWSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Global norm to clip gradients to; 0 clips nothing. */
  readonly maxGradNorm: number;
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

  constructor(gpu: Gpu, slabs: readonly Slab[], settings: AdamWSettings) {
    this.#gpu = gpu;
    this.#slabs = slabs;
    this.#settings = settings;
    this.norm = allocateTensor(gpu, 'gradient norm', [4], 'f32', 'state');
    this.#onGpu = allocateTensor(gpu, 'optimizer settings', [10], 'f32', 'state');
  }

  free(): void {
    for (const tensor of [this.norm, this.#onGpu]) freeTensor(this.#gpu, tensor);
  }

  /** @param step number of this update, counted from 1. */
  configure(step: number, learningRate: number): void {
    const { beta1, beta2, epsilon, weightDecay, maxGradNorm } = this.#settings;
    const corrections = [1 - beta1 ** step, 1 - beta2 ** step];
    const rest = [maxGradNorm, 1 - beta1, 1 - beta2];
    const values = [learningRate, beta1, beta2, epsilon, weightDecay, ...corrections, ...rest];
    upload(this.#gpu, this.#onGpu, new Float32Array(values));
  }

  /** Records the gradient norm over all slabs, then the update of each. */
  record(recorder: Recorder): void {
    this.#recordNorm(recorder);
    const constants = { WORKGROUP: workgroupSize(recorder) };
    for (const slab of this.#slabs) {
      const tensors = [
        slab.master,
        slab.gradient,
        slab.firstMoment,
        slab.secondMoment,
        this.norm,
        this.#onGpu,
      ];
      recorder.dispatch({
        label: 'adamw',
        kernel: 'adamw',
        conditions: { COPY: slab.copy !== undefined, COPY_BF16: slab.copy?.dtype === 'bf16' },
        constants,
        overrides: { DECAYS: slab.weightDecay ? 1 : 0 },
        bindings: [...tensors, ...(slab.copy === undefined ? [] : [slab.copy])].map(whole),
        grid: gridFor(recorder, slab.length / 4),
      });
    }
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
