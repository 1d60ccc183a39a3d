/**
 * The whole run, known before it starts: which examples every optimizer step takes and how they are cut. The sampler is
 * seeded, so all shapes that will ever occur are known, buckets are planned once and nothing is allocated later.
 */
import { addShapes, type BatchShape } from '../data/batches.ts';
import { epochOrder } from '../data/shuffle.ts';
import { InputError } from '../errors.ts';
import { dealOut } from '../step/deal.ts';
import {
  type BatchItem,
  bucketTokens,
  type CutLimits,
  cutStep,
  itemsOf,
  type MicroBatch,
  planBuckets,
} from '../step/micro-batches.ts';

/** Every one is planned before the first. */
const MOST_STEPS = 1_000_000;

export interface RunPlanOptions extends CutLimits {
  readonly epochs: number;
  /** Overrides `epochs` when positive. */
  readonly maxSteps: number;
  readonly seed: number;
  /** Ranks that the rows of a step are dealt out to, and this one. Default: one. */
  readonly ranks?: { readonly rank: number; readonly size: number };
}

export class RunPlan {
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  /** Buckets that hold every micro-batch of this rank, by token capacity. */
  readonly buckets: ReadonlyMap<number, BatchShape>;
  /** Share of this rank's token slots that stays empty. */
  readonly emptyShare: number;
  /** The most tokens, rows and pairs of any step in all of its micro-batches, on all ranks. */
  readonly largestStep: BatchShape;
  readonly #examples: number;
  readonly #shapeOf: (item: BatchItem) => BatchShape;
  readonly #options: RunPlanOptions;
  readonly #ranks: { readonly rank: number; readonly size: number };
  #cached: { readonly epoch: number; readonly order: ArrayLike<number> } | undefined;

  /**
   * @param examples how many the data set has
   * @param shapeOf the tokens, rows and pairs that one takes
   */
  constructor(examples: number, shapeOf: (item: BatchItem) => BatchShape, options: RunPlanOptions) {
    this.#examples = examples;
    this.#shapeOf = shapeOf;
    this.#options = options;
    this.#ranks = options.ranks ?? { rank: 0, size: 1 };
    const rows = Math.min(options.stepSize, examples);
    if (rows < this.#ranks.size)
      throw new InputError(
        `training: an optimizer step has ${rows} rows, too few for ${this.#ranks.size} ranks; start fewer, or raise ` +
          'per_device_train_batch_size or gradient_accumulation_steps.',
      );
    this.stepsPerEpoch = Math.ceil(examples / options.stepSize);
    this.totalSteps =
      options.maxSteps > 0 ? options.maxSteps : Math.ceil(this.stepsPerEpoch * options.epochs);
    if (this.totalSteps > MOST_STEPS)
      throw new InputError(
        `training: ${this.totalSteps} optimizer steps are more than ${MOST_STEPS}; lower num_train_epochs.`,
      );
    const sizes: BatchShape[] = [];
    let largest: BatchShape = { tokens: 0, rows: 0, pairs: 0 };
    for (let step = 0; step < this.totalSteps; step++) {
      const ofRanks = this.batchesOfRanks(step).map((batches) => batches.map((batch) => this.shapeOf(batch)));
      sizes.push(...ofRanks[this.#ranks.rank]);
      largest = largestOf(largest, ofRanks.flat().reduce(addShapes));
    }
    this.buckets = planBuckets(sizes);
    this.largestStep = largest;
    const used = sizes.reduce((n, { tokens }) => n + tokens, 0);
    const capacity = sizes.reduce((n, { tokens }) => n + bucketTokens(tokens), 0);
    this.emptyShare = 1 - used / capacity;
  }

  /** Epochs done before step `step`, as a fraction. */
  epochAt(step: number): number {
    return step / this.stepsPerEpoch;
  }

  /** The examples of step `step`, in the sampler's order. The last step of an epoch may have fewer. */
  examplesOf(step: number): number[] {
    const epoch = Math.floor(step / this.stepsPerEpoch);
    const start = (step % this.stepsPerEpoch) * this.#options.stepSize;
    const order = this.#order(epoch);
    return Array.from(
      { length: Math.min(this.#options.stepSize, order.length - start) },
      (_, i) => order[start + i],
    );
  }

  /** Those of this rank. */
  microBatchesOf(step: number): MicroBatch[] {
    return this.batchesOfRanks(step)[this.#ranks.rank];
  }

  /** By rank. The last step of an epoch may have none for some of them. */
  batchesOfRanks(step: number): MicroBatch[][] {
    const items = itemsOf(this.examplesOf(step), this.#examples);
    const dealt = dealOut(items, (item) => this.#shapeOf(item).tokens, this.#ranks.size);
    return dealt.map((own) => cutStep(own, this.#shapeOf, this.#options));
  }

  /** Tokens that step `step` computes, on all ranks. */
  tokensOf(step: number): number {
    return this.batchesOfRanks(step)
      .flat()
      .reduce((n, batch) => n + this.shapeOf(batch).tokens, 0);
  }

  shapeOf(batch: MicroBatch): BatchShape {
    return batch.map(this.#shapeOf).reduce(addShapes);
  }

  #order(epoch: number): ArrayLike<number> {
    if (this.#cached?.epoch !== epoch) {
      this.#cached = { epoch, order: epochOrder(this.#options.seed, epoch, this.#examples) };
    }
    return this.#cached.order;
  }
}

function largestOf(a: BatchShape, b: BatchShape): BatchShape {
  return {
    tokens: Math.max(a.tokens, b.tokens),
    rows: Math.max(a.rows, b.rows),
    pairs: Math.max(a.pairs, b.pairs),
  };
}
