/**
 * An update rule over parameter slabs: the gradient norm, then the update of every slab. What changes from step to step
 * (learning rate, bias corrections) comes from the host in one small write. The moments are on the GPU, or in host memory
 * and pass through it (host-moments.ts).
 */
import { freeTensor, reserveTensor, type Tensor, upload, whole } from '../autograd/tensor.ts';
import type { Workspace } from '../autograd/workspace.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Slice } from '../gpu/memory.ts';
import type { Recorder } from '../gpu/program.ts';
import type { ParameterSlabs, Slab } from '../nn/parameters.ts';
import type { SharedTensor } from '../nn/shares.ts';
import { recordGradientNorm } from '../ops/optimizer/gradient-norm.ts';
import { HostMoments } from './host-moments.ts';
import type { SlabRange, UpdateRule } from './update-rule.ts';

export interface OptimizerOptions {
  /** Global norm to clip gradients to; 0 clips nothing. */
  readonly maxGradNorm: number;
  /** Where the moments are kept. */
  readonly moments: 'gpu' | 'host';
}

export class Optimizer {
  /** f32 [4]: gradient norm, clip scale, 1 while every norm so far was finite, and 1 once one was not. */
  readonly norm: Tensor;
  readonly #gpu: Gpu;
  readonly #trained: ParameterSlabs;
  readonly #rule: UpdateRule;
  readonly #options: OptimizerOptions;
  readonly #values: Tensor;
  /** f32 [elements that are updated here]: by moment, then by slab. */
  readonly #moments: readonly (readonly Tensor[])[];
  readonly #host: HostMoments | undefined;
  #isPlaced = false;

  /** Plans into the workspace. What is in host memory, or passes through the GPU, has no memory before `place`. */
  constructor(workspace: Workspace, trained: ParameterSlabs, rule: UpdateRule, options: OptimizerOptions) {
    const { gpu } = workspace;
    this.#gpu = gpu;
    this.#trained = trained;
    this.#rule = rule;
    this.#options = options;
    this.norm = workspace.tensor('gradient norm', [4], 'f32', 'state');
    this.#values = workspace.tensor('optimizer settings', [rule.values(1, 0).length], 'f32', 'state');
    const isOffloaded = options.moments === 'host' && rule.moments.length > 0;
    this.#moments = rule.moments.map((name) =>
      trained.slabs.map(({ share }) => {
        // A rank that has nothing of a slab still binds something.
        const shape = [Math.max(4, share.length)];
        return isOffloaded
          ? reserveTensor(gpu, name, shape, 'f32', 'optimizer')
          : workspace.tensor(name, shape, 'f32', 'optimizer');
      }),
    );
    if (isOffloaded)
      this.#host = new HostMoments(gpu, this.#held(), (recorder, range) => this.#record(recorder, range));
  }

  /** GPU memory that `place` takes. */
  get missingBytes(): number {
    return this.#isPlaced ? 0 : (this.#host?.placedBytes ?? 0);
  }

  /** Gives moments that are kept in host memory their place there, filled with zeros, and what they pass through. */
  place(): void {
    if (this.#isPlaced) return;
    this.#isPlaced = true;
    if (this.#host === undefined) return;
    for (const moment of this.#moments.flat()) this.#gpu.memory.place(whole(moment).storage, 'host');
    this.#host.place();
  }

  /** Compiles what `update` runs. */
  async bind(): Promise<void> {
    await this.#host?.bind();
  }

  /** @param step number of this update, counted from 1. */
  configure(step: number, learningRate: number): void {
    upload(this.#gpu, this.#values, Float32Array.from(this.#rule.values(step, learningRate)));
  }

  /** Records the gradient norm over all slabs, then the update of each whose moments are on the GPU. */
  record(recorder: Recorder): void {
    const gradients = this.#trained.slabs.map(({ gradient }) => gradient);
    recordGradientNorm(recorder, gradients, this.#options.maxGradNorm, this.norm);
    if (this.#host !== undefined) return;
    for (const { slab, moments } of this.#held())
      if (slab.share.length > 0)
        this.#record(recorder, {
          slab,
          ...slab.share,
          moments: moments.map((moment) => firstOf(moment, slab)),
        });
  }

  /** To be called after what `record` recorded has run: updates what it left to be updated from host memory. */
  async update(): Promise<void> {
    await this.#host?.update();
  }

  /** The moments of a parameter, f32 of its shape, by their names. */
  momentsOf(parameter: string): [name: string, moment: Tensor | SharedTensor][] {
    const spec = this.#trained.parameters.get(parameter);
    if (spec === undefined) throw new RangeError(`${parameter} is not trained.`);
    return this.#rule.moments.map((name, i) => [name, this.#trained.partOf(spec, this.#moments[i])]);
  }

  /** Frees what `place` took; the rest goes with the workspace. */
  free(): void {
    if (this.#host === undefined) return;
    for (const moment of this.#moments.flat()) freeTensor(this.#gpu, moment);
    this.#host.free();
  }

  /** Every slab with its moments. */
  #held() {
    return this.#trained.slabs.map((slab, i) => ({ slab, moments: this.#moments.map((of) => of[i]) }));
  }

  #record(recorder: Recorder, range: SlabRange): void {
    this.#rule.record(recorder, range, { norm: this.norm, values: this.#values });
  }
}

/** A moment's elements for what is updated of a slab. */
function firstOf(moment: Tensor, { share }: Slab): Slice {
  return { ...whole(moment), byteLength: 4 * share.length };
}
