/**
 * One run's engine: model, reference, programs and optimizer, advanced one optimizer step at a time. The loop around it
 * (train.ts) decides when to log, evaluate and save; a page drives it step by step.
 */
import type { Tensor } from '../autograd/tensor.ts';
import { Workspace } from '../autograd/workspace.ts';
import { type Example, inputTokens } from '../data/examples.ts';
import { uniformAt } from '../data/random.ts';
import type { Gpu } from '../gpu/device.ts';
import type { LoadedModel } from '../models/loading/load.ts';
import type { ParameterSlabs } from '../nn/parameters.ts';
import type { SharedTensor } from '../nn/shares.ts';
import type { ActiveObjective } from '../objectives/choice.ts';
import type { ObjectiveState } from '../objectives/objective.ts';
import { Optimizer } from '../optim/optimizer.ts';
import { updateRule } from '../optim/registry.ts';
import { learningRate } from '../optim/schedule.ts';
import { Evaluator } from '../step/evaluator.ts';
import type { MicroBatch } from '../step/micro-batches.ts';
import { reserveState, resetState } from '../step/objective-state.ts';
import type { StepModels } from '../step/programs/tokens.ts';
import { addRewardMargins } from '../step/reward-margins.ts';
import { StepRows } from '../step/step-rows.ts';
import { TrainingStep } from '../step/training-step.ts';
import type { TrainingSettings } from './config.ts';
import { type MemoryPlan, memoryPlanFor } from './memory-plan.ts';
import { NonFiniteError } from './non-finite-error.ts';
import type { TrainerReference } from './reference-form.ts';
import { RunPlan } from './run-plan.ts';

export interface TrainerOptions {
  readonly gpu: Gpu;
  readonly objective: ActiveObjective;
  readonly policy: LoadedModel;
  /** In the form that the objective needs (reference-form.ts); undefined where it needs none. */
  readonly reference: TrainerReference | undefined;
  readonly train: readonly Example[];
  /** Default: none. */
  readonly eval?: readonly Example[];
  readonly training: TrainingSettings;
  /** Of the order of the examples, and of what an objective draws. */
  readonly seed: number;
}

/** What one optimizer step gave. */
export interface StepReport {
  /** 1-based. */
  readonly step: number;
  readonly metrics: Record<string, number>;
}

/** A step that the GPU has been given. */
export interface QueuedStep {
  /** 1-based. */
  readonly step: number;
  /**
   * Arrives when the step is done.
   * @throws NonFiniteError when the step, or one before it, had a gradient that is not finite. It changed nothing then.
   */
  readonly report: Promise<StepReport>;
}

/** Everything that a memory plan decides, planned into one workspace. */
interface Planned {
  readonly memory: MemoryPlan;
  readonly workspace: Workspace;
  readonly state: ObjectiveState;
  readonly step: TrainingStep;
  readonly evaluator: Evaluator;
}

export class Trainer {
  readonly plan: RunPlan;
  readonly policy: LoadedModel;
  readonly memoryPlan: MemoryPlan;
  readonly objectiveState: ObjectiveState;
  /** Optimizer steps that the GPU has been given. */
  step = 0;
  readonly #options: TrainerOptions;
  readonly #rows: StepRows;
  readonly #planned: Planned;
  readonly #trained: ParameterSlabs;
  readonly #movingReference: ReadonlyMap<string, Tensor>;
  /** At most two: the numbers of the one before the last must have arrived when a step is given to the GPU. */
  #queued: Promise<StepReport>[] = [];
  /** By the number of steps: the input tokens of those. */
  readonly #tokens: number[] = [0];

  private constructor(options: TrainerOptions) {
    const { gpu, objective, policy, reference, training } = options;
    if (policy.trained === undefined) throw new RangeError('The policy has nothing that is trained.');
    this.#options = options;
    this.policy = policy;
    this.#trained = policy.trained;
    this.#movingReference = movingReferenceOf(options, policy.trained);
    this.#rows = rowsOf(options, 'train');
    this.plan = new RunPlan(options.train.length, (item) => this.#rows.shapeOf([item]), {
      stepSize: training.per_device_train_batch_size * training.gradient_accumulation_steps,
      maxExamples: training.packing ? training.per_device_train_batch_size : 1,
      maxTokens: training.max_tokens_per_micro_batch,
      epochs: training.num_train_epochs,
      maxSteps: training.max_steps,
      seed: options.seed,
      ranks: gpu.runtime.ranks,
    });
    if (objective.needs.reference !== 'none' && reference === undefined)
      throw new RangeError(`${objective.name} was given no reference.`);
    const bytesOf = (memory: MemoryPlan) => gpu.memory.current + missingBytes(this.#planFor(memory));
    this.memoryPlan = memoryPlanFor(training, policy.config.layers, bytesOf);
    this.#planned = this.#planFor(this.memoryPlan);
    this.objectiveState = this.#planned.state;
  }

  /** Plans the whole run and allocates what lasts; `warmUp` does the rest. */
  static open(options: TrainerOptions): Trainer {
    const trainer = new Trainer(options);
    const { workspace, step, state } = trainer.#planned;
    workspace.allocate();
    step.place();
    resetState(workspace, options.objective, state);
    return trainer;
  }

  /** Records every program as `open` would, and allocates nothing. Recording is what tells which products there are. */
  static plan(options: TrainerOptions): Trainer {
    return new Trainer(options);
  }

  get totalSteps(): number {
    return this.plan.totalSteps;
  }

  /** Bytes that will be held while training: what is allocated so far, and what is only planned. */
  get predictedPeakBytes(): number {
    return this.#options.gpu.memory.current + missingBytes(this.#planned);
  }

  /** Compiles what `warmUp` would, and allocates nothing: pipelines are the device's, whichever trainer asked for them first. */
  compile(): Promise<void> {
    return this.#planned.workspace.compile();
  }

  /** Allocates what is missing and compiles every pipeline. Nothing is allocated after this, except by saving. */
  async warmUp(): Promise<void> {
    await this.#planned.workspace.bind();
    await this.#planned.step.optimizer.bind();
    await this.#options.gpu.settle();
  }

  /** Takes one optimizer step and waits for its numbers. @throws NonFiniteError as `QueuedStep.report` */
  async runStep(): Promise<StepReport> {
    return (await this.enqueueStep()).report;
  }

  /**
   * Gives the GPU one more step. It may be called again before the report has arrived, so that the GPU never waits for the
   * host; it then waits for the step before.
   */
  async enqueueStep(): Promise<QueuedStep> {
    const { train, objective, seed } = this.#options;
    if (this.#queued.length === 2) await this.#queued.shift()?.catch(() => {});
    const index = this.step;
    const examples = this.plan.examplesOf(index);
    const batches = this.plan.batchesOfRanks(index);
    const lr = this.#learningRate(index);
    const { numbers } = await this.#planned.step.run({
      rows: this.#rows,
      batches,
      step: index + 1,
      learningRate: lr,
      gumbels: objective.needs.gumbels ? inOrderOf(batches, examples, gumbelNoise(seed, index)) : undefined,
    });
    this.step = index + 1;
    const places = examples.map((i) => placeOf(train[i]));
    const report = this.#reportOf(this.step, lr, numbers, places);
    // Whoever waits for the report hears of its failure.
    report.catch(() => {});
    this.#queued.push(report);
    return { step: this.step, report };
  }

  /** Means over the evaluation rows, named `eval_...`. */
  evaluate(): Promise<Record<string, number>> {
    return this.#planned.evaluator.run();
  }

  /** Masters, moments and, where the reference moves, the reference; all f32. What a resumed run needs besides the numbers. */
  checkpointTensors(): Map<string, Tensor | SharedTensor> {
    const tensors = new Map<string, Tensor | SharedTensor>();
    for (const { name, held } of this.#trained.parameters.values()) {
      tensors.set(`master.${name}`, held);
      for (const [moment, tensor] of this.#planned.step.optimizer.momentsOf(name))
        tensors.set(`${moment}.${name}`, tensor);
    }
    for (const [name, tensor] of this.#movingReference) tensors.set(`reference.${name}`, tensor);
    return tensors;
  }

  /** To be called after masters were written from outside: what products read of them follows, on every rank. */
  async takeMasters(): Promise<void> {
    await this.policy.roundMasters();
    await this.#planned.step.gatherWeights();
  }

  /** Frees all but the models. */
  free(): void {
    this.#planned.step.free();
    this.#planned.workspace.free();
  }

  async #reportOf(
    step: number,
    lr: number,
    numbers: Promise<Record<string, number>>,
    rows: readonly string[],
  ): Promise<StepReport> {
    const { finite, ...raw } = await numbers;
    this.#options.gpu.throwIfFailed();
    if (finite !== 1 || !Number.isFinite(raw.loss))
      throw new NonFiniteError({
        step,
        rows,
        loss: raw.loss,
        gradientNorm: raw.grad_norm,
        where: await this.#planned.step.whereNotFinite(),
      });
    const metrics: Record<string, number> = {
      ...raw,
      learning_rate: lr,
      epoch: this.plan.epochAt(step),
      num_tokens: this.#tokensUntil(step),
    };
    addRewardMargins(metrics);
    return { step, metrics };
  }

  /** Input tokens of the first `steps` steps. */
  #tokensUntil(steps: number): number {
    while (this.#tokens.length <= steps) {
      const done = this.#tokens.length - 1;
      const rows = this.plan.examplesOf(done).map((i) => inputTokens(this.#options.train[i]));
      this.#tokens.push(rows.reduce((sum, tokens) => sum + tokens, this.#tokens[done]));
    }
    return this.#tokens[steps];
  }

  #learningRate(step: number): number {
    const { training } = this.#options;
    const warmupSteps = training.warmup_steps ?? Math.ceil(training.warmup_ratio * this.totalSteps);
    return learningRate(
      {
        type: training.lr_scheduler_type,
        learningRate: training.learning_rate,
        warmupSteps,
        totalSteps: this.totalSteps,
      },
      step,
    );
  }

  /** Records every program for a memory plan. Allocates nothing. */
  #planFor(memory: MemoryPlan): Planned {
    const { gpu, objective, policy, reference, training } = this.#options;
    const workspace = new Workspace(gpu);
    const state = reserveState(workspace, objective);
    const models: StepModels = {
      workspace,
      policy: policy.model,
      reference:
        reference?.form === 'live'
          ? { model: reference.loaded.model, adapter: reference.adapter }
          : undefined,
      referenceHead: reference?.form === 'hidden' ? reference.head : undefined,
      objective,
      state,
    };
    const optimizer = new Optimizer(workspace, this.#trained, updateRule(training.optim, training), {
      maxGradNorm: training.max_grad_norm,
      moments: memory.moments,
    });
    const step = new TrainingStep(models, {
      trained: this.#trained,
      optimizer,
      buckets: this.plan.buckets.values(),
      largestStep: this.plan.largestStep,
      recomputedBlocks: memory.recomputedBlocks,
      movingReference: this.#movingReference,
      watchOverflow: training.debug === 'underflow_overflow',
    });
    const evaluator = new Evaluator(
      models,
      rowsOf(this.#options, 'eval'),
      training.max_tokens_per_micro_batch,
    );
    return { memory, workspace, state, step, evaluator };
  }
}

/** What a plan takes beyond what is allocated already. */
function missingBytes({ workspace, step }: Planned): number {
  return workspace.missingBytes + step.missingBytes;
}

function rowsOf({ train, eval: held = [], ...options }: TrainerOptions, set: 'train' | 'eval'): StepRows {
  const { objective, training, reference } = options;
  return new StepRows(
    set === 'train' ? train : held,
    { mismatched: objective.needs.mismatched, promptSharing: training.prompt_sharing },
    {
      logps: reference?.form === 'logps' ? reference[set] : undefined,
      hidden: reference?.form === 'hidden' ? reference[set] : undefined,
    },
  );
}

/** Weights of a reference that follows the policy (TR-DPO), by name. */
function movingReferenceOf(
  { objective, reference }: TrainerOptions,
  { parameters }: ParameterSlabs,
): ReadonlyMap<string, Tensor> {
  if (objective.needs.referenceUpdate === undefined || reference?.form !== 'live') return new Map();
  return new Map([...parameters.keys()].map((name) => [name, reference.loaded.weight(name)]));
}

function placeOf({ file, line }: Example): string {
  return file === undefined ? `line ${line}` : `${file}:${line}`;
}

/** Standard Gumbel noise of a step: that of its n-th example. */
function gumbelNoise(seed: number, step: number): (n: number) => number {
  return (n) => -Math.log(-Math.log(uniformAt(seed, 0x5eed + step, n)));
}

/** What belongs to the n-th example of a step, in the order of its micro-batches: however it is dealt out, the same. */
function inOrderOf(
  batches: readonly (readonly MicroBatch[])[],
  examples: readonly number[],
  value: (n: number) => number,
): Float32Array {
  const places = new Map(examples.map((example, n) => [example, n]));
  return Float32Array.from(batches.flat(2), ({ example }) => value(places.get(example) ?? 0));
}
