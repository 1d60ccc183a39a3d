/** Parameters with their optimizer, as a training run holds them. */
import { download, type Tensor, upload } from '../../src/autograd/tensor.ts';
import { Workspace } from '../../src/autograd/workspace.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import type { Program } from '../../src/gpu/program.ts';
import { ParameterSlabs, type ParameterSpec } from '../../src/nn/parameters.ts';
import { unshared } from '../../src/nn/shares.ts';
import { Optimizer, type OptimizerOptions } from '../../src/optim/optimizer.ts';
import { type OptimizerName, type OptimizerSettings, updateRule } from '../../src/optim/registry.ts';

export interface TraineeOptions extends Partial<OptimizerOptions> {
  readonly settings?: Partial<OptimizerSettings>;
  readonly dtype?: 'f32' | 'f16' | 'bf16';
}

/** PyTorch's defaults. */
const SETTINGS: OptimizerSettings = {
  adam_beta1: 0.9,
  adam_beta2: 0.999,
  adam_epsilon: 1e-8,
  sgd_momentum: 0,
  weight_decay: 0,
};

export class Trainee {
  readonly gpu: Gpu;
  readonly slabs: ParameterSlabs;
  readonly optimizer: Optimizer;
  readonly #workspace: Workspace;
  readonly #program: Program;
  readonly #bound: Promise<unknown>;

  /** Weights whose name ends in 'norm' do not decay. */
  constructor(
    gpu: Gpu,
    name: OptimizerName,
    specs: readonly Omit<ParameterSpec, 'decays'>[],
    { settings, dtype = 'f32', maxGradNorm = 0, moments = 'gpu' }: TraineeOptions = {},
  ) {
    this.gpu = gpu;
    const decaying = specs.map((spec) => ({ ...spec, decays: !spec.name.endsWith('norm') }));
    this.slabs = new ParameterSlabs(gpu, decaying, dtype);
    const rule = updateRule(name, { ...SETTINGS, ...settings });
    this.#workspace = new Workspace(gpu);
    this.optimizer = new Optimizer(this.#workspace, this.slabs, rule, { maxGradNorm, moments });
    this.#program = this.#workspace.program('optimizer', (recorder) => this.optimizer.record(recorder));
    this.#workspace.allocate();
    this.optimizer.place();
    this.#bound = Promise.all([this.#workspace.bind(), this.optimizer.bind()]);
  }

  set(name: string, part: 'master' | 'gradient', values: ArrayLike<number>): void {
    upload(this.gpu, this.#part(name, part), new Float32Array(values));
  }

  /** @param part the master, or a moment by its name */
  get(name: string, part: string): Promise<Float32Array<ArrayBuffer>> {
    return download(this.gpu, this.#part(name, part));
  }

  /** Names of everything that a step changes. */
  partsOf(name: string): string[] {
    return ['master', ...this.optimizer.momentsOf(name).map(([moment]) => moment)];
  }

  /** One update; gives (norm, clip scale, finite). */
  async step(number: number, learningRate: number): Promise<Float32Array> {
    await this.#bound;
    this.optimizer.configure(number, learningRate);
    this.#program.run();
    await this.optimizer.update();
    return download(this.gpu, this.optimizer.norm);
  }

  async free(): Promise<void> {
    await this.#bound;
    this.optimizer.free();
    this.#workspace.free();
    this.slabs.free();
  }

  #part(name: string, part: string): Tensor {
    const parameter = this.slabs.parameters.get(name);
    const moments = new Map(this.optimizer.momentsOf(name));
    const tensor =
      part === 'gradient'
        ? parameter?.tensor.gradient
        : part === 'master'
          ? parameter?.master
          : moments.get(part);
    if (tensor === undefined) throw new RangeError(`There is no ${part} of ${name}.`);
    return unshared(tensor);
  }
}
