/**
 * An optimizer step on the GPU: its programs for every shape, the optimizer and the objective's state. What a step is made
 * of, and when it is taken, is the trainer's affair.
 */
import { type Tensor, whole } from '../autograd/tensor.ts';
import type { BatchShape } from '../data/batches.ts';
import type { Program, Recorder } from '../gpu/program.ts';
import type { ParameterSlabs } from '../nn/parameters.ts';
import { recordFill } from '../ops/elementwise/fill.ts';
import { tapeFor } from '../ops/index.ts';
import { recordStateCommit } from '../ops/objectives/state-commit.ts';
import type { Optimizer } from '../optim/optimizer.ts';
import { countsOf } from './batch-tensors.ts';
import { BucketRunner, type RunExtras } from './bucket-runner.ts';
import { StepMetrics } from './metrics.ts';
import type { MicroBatch } from './micro-batches.ts';
import { MovingReference } from './moving-reference.ts';
import { OverflowWatch } from './overflow-watch.ts';
import { batchFields, exchangeFields, type StepModels } from './programs/tokens.ts';
import {
  backwardProgram,
  forwardProgram,
  objectiveProgram,
  StepExchange,
  separableProgram,
  type TrainingModels,
} from './programs/train.ts';
import { RankGather, sliceBytes } from './rank-gather.ts';
import { RankSum } from './rank-sum.ts';
import type { StepRows } from './step-rows.ts';

export interface TrainingStepOptions {
  readonly trained: ParameterSlabs;
  readonly optimizer: Optimizer;
  /** Capacities that together hold every micro-batch. */
  readonly buckets: Iterable<BatchShape>;
  /** The most tokens, rows and pairs that one step has in all of its micro-batches. */
  readonly largestStep: BatchShape;
  readonly recomputedBlocks: number;
  /** Weights of a reference that follows the policy, by the names of the parameters. */
  readonly movingReference: ReadonlyMap<string, Tensor>;
  /** Finds the tensor in which a step stops being finite. */
  readonly watchOverflow: boolean;
}

/** What changes from step to step. */
export interface StepInputs {
  readonly rows: StepRows;
  /** The micro-batches of every rank; this process runs its own. */
  readonly batches: readonly (readonly MicroBatch[])[];
  /** Counted from 1. */
  readonly step: number;
  readonly learningRate: number;
  /** Standard Gumbel noise, one per example in the order of `batches`, where the objective needs it. */
  readonly gumbels: Float32Array | undefined;
}

export class TrainingStep {
  readonly optimizer: Optimizer;
  readonly #models: TrainingModels;
  readonly #options: TrainingStepOptions;
  readonly #metrics: StepMetrics;
  readonly #watch: OverflowWatch | undefined;
  /** For separable objectives. */
  readonly #separable: BucketRunner<'step', undefined> | undefined;
  /** For the others. */
  readonly #exchanging: Exchanging | undefined;
  /** Undefined in a process of its own. */
  readonly #rankSum: RankSum | undefined;
  /** Undefined where every rank updates all weights. */
  readonly #rankGather: RankGather | undefined;
  readonly #begin: Program;
  readonly #end: Program;
  readonly #movingReference: MovingReference | undefined;

  /** Plans every program into the workspace of `models`. */
  constructor(models: StepModels, options: TrainingStepOptions) {
    const { workspace, objective, referenceHead } = models;
    const { optimizer, buckets } = options;
    this.#options = options;
    this.optimizer = optimizer;
    this.#metrics = new StepMetrics(workspace);
    this.#watch = options.watchOverflow ? new OverflowWatch(workspace, optimizer.norm) : undefined;
    const training: TrainingModels = {
      ...models,
      metrics: this.#metrics,
      recomputedBlocks: options.recomputedBlocks,
      watch: this.#watch,
    };
    this.#models = training;
    const refWidth = referenceHead?.weight.shape[1];
    if (objective.separable) {
      const fields = batchFields(models);
      this.#separable = new BucketRunner(workspace, buckets, { fields, refWidth }, (batch) => ({
        programs: { step: separableProgram(training, batch) },
        outputs: undefined,
      }));
    } else this.#exchanging = this.#planExchange(buckets, refWidth);
    const { ranks } = workspace.gpu.runtime;
    if (ranks.size > 1) this.#rankSum = new RankSum(workspace.gpu, ranks, this.#largestSum);
    const shared = this.#sharedWeights.map((tensor) => sliceBytes(tensor, ranks.size));
    if (shared.length > 0) this.#rankGather = new RankGather(workspace.gpu, ranks, Math.max(...shared));
    this.#begin = this.#record('begin', (recorder) => this.#recordBegin(recorder));
    this.#end = this.#record('optimizer', (recorder) => this.#recordEnd(recorder));
    const { movingReference, trained } = options;
    if (movingReference.size > 0) {
      const update = { share: objective.needs.referenceUpdate?.share ?? 1, norm: optimizer.norm };
      this.#movingReference = new MovingReference(workspace, trained, movingReference, update);
    }
  }

  /**
   * Queues a step.
   * @returns its numbers, which arrive when it is done; `finite` is 1 while every gradient was.
   */
  async run({ rows, batches, step, learningRate, gumbels }: StepInputs): Promise<QueuedNumbers> {
    const { rank } = this.#models.workspace.gpu.runtime.ranks;
    const all = batches.flat(2);
    const counts = countsOf(rows.examplesOf(all));
    this.#begin.run();
    if (this.#separable !== undefined) {
      const own = batches[rank].map((batch) => ({ batch, extras: { counts } }));
      await this.#accumulate(this.#separable, 'step', rows, own);
      if (rank > 0) this.#metrics.clearSet();
      await this.#rankSum?.sum([this.#metrics.tensor, ...this.#accumulators]);
    }
    if (this.#exchanging !== undefined) {
      const { runner, exchange, objective } = this.#exchanging;
      const offsets = rowOffsets(rows, batches)[rank];
      for (const [i, batch] of batches[rank].entries())
        await runner.run('forward', rows, batch, { counts, rowOffset: offsets[i] });
      // Every rank sees the log-probs of the whole step: its own, and zeros where those of others are added.
      await this.#rankSum?.sum(Object.values(exchange.exchanged));
      exchange.batch.load(rows.pack(all, exchange.batch.capacity), { counts, gumbels });
      objective.run();
      const own = batches[rank].map((batch, i) => ({ batch, extras: { counts, rowOffset: offsets[i] } }));
      await this.#accumulate(runner, 'backward', rows, own);
    }
    this.optimizer.configure(step, learningRate);
    this.#end.run();
    await this.optimizer.update();
    await this.gatherWeights();
    const { referenceUpdate } = this.#models.objective.needs;
    if (referenceUpdate !== undefined && step % referenceUpdate.every === 0)
      await this.#movingReference?.update();
    return { numbers: this.#metrics.snapshot() };
  }

  /** Queues the passes that give the gradients of this process, and sums them over ranks while the last one runs. */
  async #accumulate<Pass extends string>(
    runner: BucketRunner<Pass, undefined>,
    pass: Pass,
    rows: StepRows,
    own: readonly { readonly batch: MicroBatch; readonly extras: RunExtras }[],
  ): Promise<void> {
    for (const { batch, extras } of own.slice(0, -1)) await runner.run(pass, rows, batch, extras);
    const last = own.at(-1);
    const program = last && (await runner.load(pass, rows, last.batch, last.extras));
    if (this.#rankSum === undefined) program?.run();
    else await this.#rankSum.sum(this.#gradients, program);
  }

  /**
   * Sums take tensors from the end, as the backward pass completes them. Norms and biases of the first layers are complete
   * last, so the slab of vectors comes first.
   */
  get #gradients(): Tensor[] {
    const { slabs } = this.#options.trained;
    const [matrices, vectors] = [true, false].map((decays) => slabs.filter((s) => s.weightDecay === decays));
    return [...vectors, ...matrices].map(({ gradient }) => gradient);
  }

  /** Gives every rank what the others updated. */
  async gatherWeights(): Promise<void> {
    await this.#rankGather?.gather(this.#sharedWeights);
  }

  /** Where the first step that was not finite stopped being so; undefined unless that was watched for. */
  async whereNotFinite(): Promise<string | undefined> {
    return this.#watch?.report();
  }

  /** GPU memory that `place` takes. */
  get missingBytes(): number {
    return (
      this.optimizer.missingBytes + (this.#rankSum?.missingBytes ?? 0) + (this.#rankGather?.missingBytes ?? 0)
    );
  }

  /** Gives its memory to what is not in the workspace. */
  place(): void {
    this.optimizer.place();
    this.#rankSum?.place();
    this.#rankGather?.place();
  }

  /** Frees what `place` took. */
  free(): void {
    this.optimizer.free();
    this.#rankSum?.free();
    this.#rankGather?.free();
  }

  /** What products read of the weights whose update ranks share. */
  get #sharedWeights(): Tensor[] {
    const shared = this.#options.trained.slabs.filter(({ isShared }) => isShared);
    return shared.map(({ master, copy }) => copy ?? master);
  }

  /** The state's sums over the micro-batches of a step. */
  get #accumulators(): Tensor[] {
    return Object.entries(this.#models.state)
      .filter(([name]) => name.startsWith('step.'))
      .map(([, tensor]) => tensor);
  }

  /** Bytes of the largest tensor that is summed over ranks. */
  get #largestSum(): number {
    const gradients = this.#gradients.map((gradient) => whole(gradient).byteLength);
    return Math.max(...gradients, 4 * this.#options.largestStep.rows, whole(this.#metrics.tensor).byteLength);
  }

  #planExchange(buckets: Iterable<BatchShape>, refWidth: number | undefined): Exchanging {
    const models = this.#models;
    const exchange = new StepExchange(models.workspace, models.objective, this.#options.largestStep);
    const options = { fields: exchangeFields(models), refWidth };
    const runner = new BucketRunner<'forward' | 'backward', undefined>(
      models.workspace,
      buckets,
      options,
      (batch) => ({
        programs: {
          forward: forwardProgram(models, batch, exchange),
          backward: backwardProgram(models, batch, exchange),
        },
        outputs: undefined,
      }),
    );
    return { runner, exchange, objective: objectiveProgram(models, exchange) };
  }

  #record(label: string, record: (recorder: Recorder) => void): Program {
    return this.#models.workspace.program(label, (recorder) =>
      recorder.asPart('optimizer', () => record(recorder)),
    );
  }

  /** Zeroes gradients, metrics and the state's accumulators. */
  #recordBegin(recorder: Recorder): void {
    for (const { gradient } of this.#options.trained.slabs) recordFill(recorder, gradient, 0);
    recordFill(recorder, this.#metrics.tensor, 0);
    for (const tensor of this.#accumulators) recordFill(recorder, tensor, 0);
    if (this.#rankSum !== undefined)
      for (const tensor of Object.values(this.#exchanging?.exchange.exchanged ?? {}))
        recordFill(recorder, tensor, 0);
  }

  /** Gradient norm, optimizer, and the objective's state, which moves only when the gradient was finite. */
  #recordEnd(recorder: Recorder): void {
    const { objective, state } = this.#models;
    const { norm } = this.optimizer;
    this.optimizer.record(recorder);
    const next = objective.nextState?.(tapeFor(recorder), state) ?? {};
    for (const [name, value] of Object.entries(next)) recordStateCommit(recorder, value, state[name], norm);
    this.#metrics.setFrom(recorder, 'grad_norm', norm, 0);
    this.#metrics.setFrom(recorder, 'finite', norm, 2);
  }
}

export interface QueuedNumbers {
  readonly numbers: Promise<Record<string, number>>;
}

/** The passes of an objective that sees the step as a whole. */
interface Exchanging {
  readonly runner: BucketRunner<'forward' | 'backward', undefined>;
  readonly exchange: StepExchange;
  readonly objective: Program;
}

/** Rows of the step that come before each micro-batch of each rank. */
function rowOffsets(rows: StepRows, batches: readonly (readonly MicroBatch[])[]): number[][] {
  let next = 0;
  return batches.map((own) =>
    own.map((batch) => {
      const start = next;
      next += rows.shapeOf(batch).rows;
      return start;
    }),
  );
}
