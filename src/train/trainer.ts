/**
 * One run's engine: model, reference, programs and optimizer, advanced one optimizer step at a time. The loop around it
 * (train.ts) decides when to log, evaluate and save; a page drives it step by step.
 */
import { allocateTensor, freeTensor, type Tensor, upload, whole } from '../autograd/tensor.ts';
import { packBatch, shapeOf } from '../data/batches.ts';
import type { Example } from '../data/examples.ts';
import { uniformAt } from '../data/random.ts';
import { RunError } from '../errors.ts';
import type { Gpu } from '../gpu/device.ts';
import { Arena } from '../gpu/planner.ts';
import { Program, type Recorder } from '../gpu/program.ts';
import type { LoadedModel } from '../models/loading/load.ts';
import type { ActiveObjective } from '../objectives/choice.ts';
import type { ObjectiveState } from '../objectives/objective.ts';
import { recordFill } from '../ops/elementwise/fill.ts';
import { tapeFor } from '../ops/index.ts';
import { gridFor, workgroupSize } from '../ops/launch.ts';
import type { LmHead } from '../ops/logps/logit-chunks.ts';
import { Optimizer } from '../optim/optimizer.ts';
import { updateRule } from '../optim/registry.ts';
import { learningRate } from '../optim/schedule.ts';
import { type BatchExtras, BatchTensors, countsOf, joined } from '../step/batch-tensors.ts';
import { Evaluator } from '../step/evaluator.ts';
import { layoutOf } from '../step/layout.ts';
import { StepMetrics } from '../step/metrics.ts';
import { bucketTokens, type MicroBatch } from '../step/micro-batches.ts';
import { OverflowWatch } from '../step/overflow-watch.ts';
import * as programs from '../step/programs.ts';
import { referenceLogps } from '../step/reference-rows.ts';
import type { TrainConfig } from './config.ts';
import type { HiddenStates } from './hidden-states.ts';
import { type MemoryPlan, memoryPlanFor } from './memory-plan.ts';
import { RunPlan } from './run-plan.ts';

export interface TrainerParts {
  readonly gpu: Gpu;
  readonly config: TrainConfig;
  readonly objective: ActiveObjective;
  readonly policy: LoadedModel;
  /** The reference, where the objective needs one; with LoRA the policy's own weights, adapter off. */
  readonly reference: { readonly loaded: LoadedModel; readonly adapter: boolean } | undefined;
  readonly train: readonly Example[];
  readonly eval: readonly Example[];
  /** Reference log-probs that are known already, per example; the reference computes the others where it must. */
  readonly referenceLogps?: ReferenceLogps;
  /** Takes the place of a live reference for objectives that see its logits. */
  readonly referenceHidden?: ReferenceHidden;
}

/** Hidden states of a reference that is not on the GPU, and its head, which is. */
export interface ReferenceHidden {
  readonly train: HiddenStates;
  readonly eval: HiddenStates | undefined;
  readonly head: LmHead;
}

/** Per example of each data set: log-probs of its response tokens, in the order its answers are packed. */
export interface ReferenceLogps {
  readonly train?: readonly Float32Array[];
  readonly eval?: readonly Float32Array[];
}

/** What one optimizer step gave. */
export interface StepReport {
  /** 1-based. */
  readonly step: number;
  readonly metrics: Record<string, number>;
}

interface Bucket {
  readonly batch: BatchTensors;
  /** One program for separable objectives; forward and backward for the others. */
  readonly train: readonly Program[];
}

export class Trainer {
  readonly plan: RunPlan;
  readonly policy: LoadedModel;
  readonly objectiveState: ObjectiveState;
  /** Weights of a reference that moves (TR-DPO), by name. */
  readonly liveReference: ReadonlyMap<string, Tensor>;
  /** Optimizer steps done. */
  step = 0;
  /** Shape buckets of training, and the share of their token slots that stays empty. */
  readonly bucketCount: number;
  readonly emptyShare: number;
  readonly #parts: TrainerParts;
  readonly #arena: Arena;
  readonly #metrics: StepMetrics;
  readonly #optimizer: Optimizer;
  readonly #watch: OverflowWatch | undefined;
  readonly #buckets = new Map<number, Bucket>();
  readonly #evaluator: Evaluator;
  readonly #whole: programs.WholeStep | undefined;
  readonly #programs: {
    begin: Program;
    objective: Program | undefined;
    end: Program;
    moveReference: Program | undefined;
  };
  readonly memoryPlan: MemoryPlan;
  /** What was given or computed; empty where the objective needs none, or has a live reference. */
  readonly referenceLogps: ReferenceLogps;
  #pending:
    | {
        readonly step: number;
        readonly lr: number;
        readonly read: () => Promise<Record<string, number>>;
        readonly examples: readonly Example[];
      }
    | undefined;

  /** Plans every program; `open` computes what must be known before the first step and binds them. */
  private constructor(parts: TrainerParts, referenceLogps: ReferenceLogps, memory: MemoryPlan) {
    const { gpu, config, objective, policy, reference } = parts;
    const { training } = config;
    if (policy.trained === undefined) throw new RangeError('The policy has nothing that is trained.');
    this.#parts = parts;
    this.policy = policy;
    this.referenceLogps = referenceLogps;
    this.memoryPlan = memory;
    this.#arena = new Arena(gpu.memory);
    this.#metrics = new StepMetrics(gpu);
    this.plan = new RunPlan(
      parts.train.length,
      (slot) => shapeOf(parts.train[slot.example], layoutOf(parts, parts.train, slot)),
      {
        stepSize: training.per_device_train_batch_size * training.gradient_accumulation_steps,
        maxExamples: training.packing ? training.per_device_train_batch_size : 1,
        maxTokens: training.max_tokens_per_micro_batch,
        epochs: training.num_train_epochs,
        maxSteps: training.max_steps,
        seed: config.seed,
      },
    );
    this.objectiveState = Object.fromEntries(
      Object.entries(objective.initState).map(([name, value]) => {
        const tensor = allocateTensor(gpu, name, [1], 'f32', 'state');
        upload(gpu, tensor, new Float32Array([value]));
        return [name, tensor];
      }),
    );
    this.liveReference = new Map(
      objective.needs.referenceUpdate && reference !== undefined
        ? [...policy.trained.parameters.keys()].map((name) => [name, reference.loaded.weight(name)])
        : [],
    );
    this.#optimizer = new Optimizer(gpu, policy.trained, updateRule(training.optim, training), {
      maxGradNorm: training.max_grad_norm,
      moments: memory.moments,
    });
    this.#watch =
      training.debug === 'underflow_overflow' ? new OverflowWatch(gpu, this.#optimizer.norm) : undefined;
    const live = needsLiveReference(parts);
    const stepParts: programs.StepParts = {
      gpu,
      arena: this.#arena,
      policy: policy.model,
      reference:
        live && reference !== undefined
          ? { model: reference.loaded.model, adapter: reference.adapter }
          : undefined,
      referenceHead: parts.referenceHidden?.head,
      objective,
      state: this.objectiveState,
      metrics: this.#metrics,
      recomputedBlocks: memory.recomputedBlocks,
      watch: this.#watch,
    };
    const { buckets, emptyShare } = this.plan.buckets();
    this.bucketCount = buckets.size;
    this.emptyShare = emptyShare;
    this.#whole = objective.separable
      ? undefined
      : new programs.WholeStep(gpu, objective, this.plan.largestStep());
    const fields =
      this.#whole === undefined ? programs.batchFields(stepParts) : programs.exchangeFields(stepParts);
    for (const [tokens, capacity] of buckets) {
      const batch = new BatchTensors(gpu, capacity, fields, parts.referenceHidden?.head.weight.shape[1]);
      const train =
        this.#whole === undefined
          ? [programs.separableProgram(stepParts, batch)]
          : [
              programs.forwardProgram(stepParts, batch, this.#whole),
              programs.backwardProgram(stepParts, batch, this.#whole),
            ];
      this.#buckets.set(tokens, { batch, train });
    }
    this.#evaluator = new Evaluator(stepParts, {
      ...parts,
      examples: parts.eval,
      referenceLogps: referenceLogps.eval,
      referenceHidden: parts.referenceHidden?.eval,
    });
    this.#programs = {
      begin: this.#beginProgram(),
      objective: this.#whole && programs.wholeObjectiveProgram(stepParts, this.#whole),
      end: this.#endProgram(),
      moveReference: this.liveReference.size === 0 ? undefined : this.#moveReferenceProgram(),
    };
  }

  /** @param note told what takes time before the first step. */
  static async open(parts: TrainerParts, note: (line: string) => void): Promise<Trainer> {
    const known = needsReferenceLogps(parts) ? await Trainer.#referenceLogps(parts, note) : {};
    const trainer = Trainer.#within(parts, known);
    trainer.#optimizer.place();
    return trainer;
  }

  static async #referenceLogps(parts: TrainerParts, note: (line: string) => void): Promise<ReferenceLogps> {
    const { gpu, config, reference, referenceLogps: known } = parts;
    const compute = async (examples: readonly Example[]): Promise<Float32Array[]> => {
      if (reference === undefined) throw new RangeError(`${parts.objective.name} was given no reference.`);
      if (examples.length > 0) note(`Computing the reference log-probs of ${examples.length} rows.`);
      const model = { model: reference.loaded.model, adapter: reference.adapter };
      return referenceLogps(gpu, model, examples, config.training.max_tokens_per_micro_batch);
    };
    return {
      train: known?.train ?? (await compute(parts.train)),
      eval: known?.eval ?? (await compute(parts.eval)),
    };
  }

  /** Planning allocates no activations and no moments: a plan that is too large costs nothing but the time to make it. */
  static #within(parts: TrainerParts, referenceLogps: ReferenceLogps): Trainer {
    const plan = (memory: MemoryPlan) => new Trainer(parts, referenceLogps, memory);
    const bytesOf = (memory: MemoryPlan): number => {
      const planned = plan(memory);
      const bytes = planned.predictedPeakBytes;
      planned.free();
      return bytes;
    };
    return plan(memoryPlanFor(parts.config.training, parts.policy.config.layers, bytesOf));
  }

  get totalSteps(): number {
    return this.plan.totalSteps;
  }

  /** Bytes that will be held while training: everything allocated so far, the planned arena and the optimizer's moments. */
  get predictedPeakBytes(): number {
    return this.#parts.gpu.memory.current + this.#arena.missingBytes + this.#optimizer.missingBytes;
  }

  /** Allocates the arena and compiles every pipeline. Nothing is allocated after this, except by evaluation and saving. */
  async warmUp(): Promise<void> {
    this.#arena.allocate();
    const { begin, objective, end, moveReference } = this.#programs;
    const all = [
      begin,
      objective,
      end,
      moveReference,
      ...this.#evaluator.programs,
      ...[...this.#buckets.values()].flatMap((b) => b.train),
    ];
    for (const program of all) await program?.bind();
    await this.#optimizer.bind();
    await this.#parts.gpu.settle();
  }

  /**
   * Runs one optimizer step.
   * @returns the report of the step before, whose numbers have arrived meanwhile; undefined for the first.
   * @throws NonFiniteError when the step before had a gradient that is not finite. Neither it nor this one changed
   * weights, moments, state or reference.
   */
  async runStep(): Promise<StepReport | undefined> {
    const { config, objective, train } = this.#parts;
    const { needs } = objective;
    const step = this.step;
    const examples = this.plan.examplesOf(step).map((i) => train[i]);
    const counts = countsOf(examples);
    const batches = this.plan.microBatchesOf(step);
    this.#programs.begin.run();
    if (this.#whole === undefined) {
      for (const batch of batches) (await this.#load(batch, { counts })).train[0].run();
    } else {
      let rowOffset = 0;
      const offsets = batches.map((batch) => {
        const start = rowOffset;
        rowOffset += this.plan.shapeOf(batch).rows;
        return start;
      });
      for (const [i, batch] of batches.entries())
        (await this.#load(batch, { counts, rowOffset: offsets[i] })).train[0].run();
      const order = batches.flat();
      const packed = packBatch(
        order.map(({ example }) => train[example]),
        this.#whole.batch.capacity,
        (n) => layoutOf(this.#parts, train, order[n]),
      );
      const gumbels = needs.gumbels ? gumbelNoise(config.seed, step, examples.length) : undefined;
      this.#whole.batch.load(packed, { counts, gumbels });
      this.#programs.objective?.run();
      for (const [i, batch] of batches.entries())
        (await this.#load(batch, { counts, rowOffset: offsets[i] })).train[1].run();
    }
    const lr = this.#learningRate(step);
    this.#optimizer.configure(step + 1, lr);
    this.#programs.end.run();
    await this.#optimizer.update();
    this.step = step + 1;
    if (needs.referenceUpdate !== undefined && this.step % needs.referenceUpdate.every === 0)
      this.#programs.moveReference?.run();
    const read = this.#metrics.snapshot();
    const report = await this.flush();
    this.#pending = { step: this.step, lr, read, examples };
    return report;
  }

  /** Waits for the numbers of the last step. */
  async flush(): Promise<StepReport | undefined> {
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending === undefined) return undefined;
    const { finite, ...raw } = await pending.read();
    this.#parts.gpu.throwIfFailed();
    if (finite !== 1 || !Number.isFinite(raw.loss)) {
      const rows = pending.examples.map(({ file, line }) =>
        file === undefined ? `line ${line}` : `${file}:${line}`,
      );
      const where = this.#watch
        ? await this.#watch.report()
        : '"training.debug: underflow_overflow" finds the first tensor that is not finite.';
      throw new NonFiniteError(
        pending.step,
        `Step ${pending.step}: loss ${raw.loss}, gradient norm ${raw.grad_norm}; the step changed nothing. ` +
          `Its rows are ${rows.join(', ')}. Look at them, or lower training.learning_rate. ` +
          where,
      );
    }
    const metrics: Record<string, number> = {
      ...raw,
      learning_rate: pending.lr,
      epoch: this.plan.epochAt(pending.step),
    };
    if ('rewards/chosen' in metrics)
      metrics['rewards/margins'] = metrics['rewards/chosen'] - metrics['rewards/rejected'];
    return { step: pending.step, metrics };
  }

  /** Means over the evaluation rows, named `eval_...`. */
  evaluate(): Promise<Record<string, number>> {
    return this.#evaluator.run();
  }

  /** Masters, moments and, where the reference moves, the reference; all f32. What a resumed run needs besides the numbers. */
  checkpointTensors(): Map<string, Tensor> {
    const tensors = new Map<string, Tensor>();
    for (const { name, master } of this.policy.trained?.parameters.values() ?? []) {
      tensors.set(`master.${name}`, master);
      for (const [moment, tensor] of this.#optimizer.momentsOf(name))
        tensors.set(`${moment}.${name}`, tensor);
    }
    for (const [name, tensor] of this.liveReference) tensors.set(`reference.${name}`, tensor);
    return tensors;
  }

  free(): void {
    const { gpu } = this.#parts;
    for (const { batch } of this.#buckets.values()) batch.free();
    for (const tensor of Object.values(this.objectiveState)) freeTensor(gpu, tensor);
    this.#whole?.free();
    this.#optimizer.free();
    this.#watch?.free();
    this.#metrics.free();
    this.#evaluator.free();
    this.#arena.free();
  }

  #learningRate(step: number): number {
    const { training } = this.#parts.config;
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

  async #load(batch: MicroBatch, extras: Omit<BatchExtras, 'refLogps' | 'refHidden'>): Promise<Bucket> {
    const { train, referenceHidden } = this.#parts;
    const indices = batch.map(({ example }) => example);
    const refHidden = await referenceHidden?.train.read(indices);
    const bucket = this.#buckets.get(bucketTokens(this.plan.shapeOf(batch).tokens));
    if (bucket === undefined) throw new RangeError('No bucket was planned for a micro-batch.');
    const packed = packBatch(
      indices.map((i) => train[i]),
      bucket.batch.capacity,
      (n) => layoutOf(this.#parts, train, batch[n]),
    );
    const refLogps = joined(indices.map((i) => this.referenceLogps.train?.[i]));
    bucket.batch.load(packed, { ...extras, refLogps, refHidden });
    return bucket;
  }

  #betweenSteps(label: string, record: (recorder: Recorder) => void): Program {
    return new Program(this.#parts.gpu, this.#arena, label, (recorder) =>
      recorder.asPart('optimizer', () => record(recorder)),
    );
  }

  /** Zeroes gradients, metrics and the state's accumulators. */
  #beginProgram(): Program {
    return this.#betweenSteps('begin', (recorder) => {
      for (const slab of this.policy.trained?.slabs ?? []) recordFill(recorder, slab.gradient, 0);
      recordFill(recorder, this.#metrics.tensor, 0);
      for (const [name, tensor] of Object.entries(this.objectiveState))
        if (name.startsWith('step.')) recordFill(recorder, tensor, 0);
    });
  }

  /** Gradient norm, optimizer, and the objective's state, which moves only when the gradient was finite. */
  #endProgram(): Program {
    const { objective } = this.#parts;
    return this.#betweenSteps('optimizer', (recorder) => {
      this.#optimizer.record(recorder);
      const next = objective.nextState?.(tapeFor(recorder), this.objectiveState) ?? {};
      for (const [name, value] of Object.entries(next)) {
        recorder.launch({
          kernel: 'state_commit',
          bindings: {
            next: whole(value),
            norm: whole(this.#optimizer.norm),
            state: whole(this.objectiveState[name]),
          },
          grid: [1, 1],
        });
      }
      this.#metrics.setFrom(recorder, 'grad_norm', this.#optimizer.norm, 0);
      this.#metrics.setFrom(recorder, 'finite', this.#optimizer.norm, 2);
    });
  }

  #moveReferenceProgram(): Program {
    const { referenceUpdate } = this.#parts.objective.needs;
    return this.#betweenSteps('reference update', (recorder) => {
      for (const [name, tensor] of this.liveReference) {
        const parameter = this.policy.trained?.parameters.get(name);
        parameter?.master.shards.forEach((shard, i) => {
          recorder.launch({
            kernel: 'reference_update',
            constants: { WORKGROUP: workgroupSize(recorder) },
            overrides: { ALPHA: referenceUpdate?.share ?? 1 },
            bindings: { policy: shard, reference: tensor.shards[i], norm: whole(this.#optimizer.norm) },
            grid: gridFor(recorder, shard.byteLength / 4),
          });
        });
      }
    });
  }
}

/** A loss or gradient that is infinite or no number. */
export class NonFiniteError extends RunError {
  /** The first such step, 1-based. */
  readonly step: number;

  constructor(step: number, message: string) {
    super(message);
    this.step = step;
  }
}

/** Must the reference run beside the policy? Its logits, or rows that change with the batch, cannot come from a cache. */
export function needsLiveReference({
  objective,
  config,
}: Pick<TrainerParts, 'objective' | 'config'>): boolean {
  const { reference, referenceUpdate, mismatched } = objective.needs;
  if (reference === 'none') return false;
  return (
    (reference === 'logits' && config.reference.mode !== 'precompute') ||
    referenceUpdate !== undefined ||
    mismatched === true ||
    config.reference.mode === 'in_step'
  );
}

/** Are the reference's log-probs of the data set to be known before the first step? */
export function needsReferenceLogps(parts: Pick<TrainerParts, 'objective' | 'config'>): boolean {
  return parts.objective.needs.reference === 'logps' && !needsLiveReference(parts);
}

/** Standard Gumbel noise, one per example of a step. */
function gumbelNoise(seed: number, step: number, examples: number): Float32Array {
  return Float32Array.from(
    { length: examples },
    (_, i) => -Math.log(-Math.log(uniformAt(seed, 0x5eed + step, i))),
  );
}
