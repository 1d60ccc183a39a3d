/**
 * AdamW over parameter slabs. One program per run: gradient norm, update of every slab, objective state, metrics.
 * The learning rate and the bias corrections of a step come from the host in one 40-byte write.
 */
import { allocateTensor, type Tensor, temporary, upload, whole } from '../autograd/tensor.ts';
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

/** Runs of a slab whose squares are summed apart; fixed, so that sums have one order. */
const SPLITS = 256;

export class AdamW {
  /** f32 [3]: gradient norm, clip scale, and 1 when the norm is finite. */
  readonly norm: Tensor;
  readonly #gpu: Gpu;
  readonly #slabs: readonly Slab[];
  readonly #settings: AdamWSettings;
  readonly #onGpu: Tensor;

  constructor(gpu: Gpu, slabs: readonly Slab[], settings: AdamWSettings) {
    this.#gpu = gpu;
    this.#slabs = slabs;
    this.#settings = settings;
    this.norm = allocateTensor(gpu, 'gradient norm', [3], 'f32', 'state');
    this.#onGpu = allocateTensor(gpu, 'optimizer settings', [10], 'f32', 'state');
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
    const partial = temporary(recorder, 'sums of squares', [SPLITS * this.#slabs.length]);
    const constants = { WORKGROUP: workgroupSize(recorder) };
    this.#slabs.forEach((slab, s) => {
      recorder.dispatch({
        label: 'gradient_norm_partial',
        kernel: 'gradient_norm_partial',
        constants,
        overrides: { SPLITS, OFFSET: s * SPLITS },
        bindings: [slab.gradient, partial].map(whole),
        grid: gridFor(recorder, SPLITS),
      });
    });
    recorder.dispatch({
      label: 'gradient_norm',
      kernel: 'gradient_norm',
      bindings: [partial, this.#onGpu, this.norm].map(whole),
      grid: [1, 1],
    });
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
        grid: gridFor(recorder, slab.length / 2),
      });
    }
  }
}
