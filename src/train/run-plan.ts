/**
 * The whole run, known before it starts: which examples every optimizer step takes and how they are cut. The sampler is
 * seeded, so all shapes that will ever occur are known, buckets are planned once and nothing is allocated later.
 */
import { addShapes, type BatchShape } from '../data/batches.ts';
import { epochOrder } from '../data/shuffle.ts';
import {
  type CutLimits,
  cutStep,
  type MicroBatch,
  planBuckets,
  type Slot,
  slotsOf,
} from '../step/micro-batches.ts';

export interface RunPlanOptions extends CutLimits {
  readonly epochs: number;
  /** Overrides `epochs` when positive. */
  readonly maxSteps: number;
  readonly seed: number;
}

export class RunPlan {
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  readonly #examples: number;
  readonly #shapeOf: (slot: Slot) => BatchShape;
  readonly #options: RunPlanOptions;
  #cached: { readonly epoch: number; readonly order: ArrayLike<number> } | undefined;

  /**
   * @param examples how many the data set has
   * @param shapeOf the room that one takes
   */
  constructor(examples: number, shapeOf: (slot: Slot) => BatchShape, options: RunPlanOptions) {
    this.#examples = examples;
    this.#shapeOf = shapeOf;
    this.#options = options;
    this.stepsPerEpoch = Math.ceil(examples / options.stepSize);
    this.totalSteps =
      options.maxSteps > 0 ? options.maxSteps : Math.ceil(this.stepsPerEpoch * options.epochs);
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

  microBatchesOf(step: number): MicroBatch[] {
    return cutStep(slotsOf(this.examplesOf(step), this.#examples), this.#shapeOf, this.#options);
  }

  shapeOf(batch: MicroBatch): BatchShape {
    return batch.map(this.#shapeOf).reduce(addShapes);
  }

  /** Buckets that hold every micro-batch of the run, and how full they will be. */
  buckets(): { buckets: Map<number, BatchShape>; emptyShare: number } {
    const sizes: BatchShape[] = [];
    for (let step = 0; step < this.totalSteps; step++) {
      for (const batch of this.microBatchesOf(step)) sizes.push(this.shapeOf(batch));
    }
    const buckets = planBuckets(sizes);
    const used = sizes.reduce((n, s) => n + s.tokens, 0);
    const slots = sizes.reduce((n, s) => n + bucketFor(buckets, s).tokens, 0);
    return { buckets, emptyShare: 1 - used / slots };
  }

  /** Examples in the largest step, and the response tokens that its answers have together at most. */
  largestStep(): BatchShape {
    let largest: BatchShape = { tokens: 0, rows: 0, pairs: 0 };
    for (let step = 0; step < this.totalSteps; step++) {
      const shape = this.shapeOf(this.microBatchesOf(step).flat());
      largest = {
        tokens: Math.max(largest.tokens, shape.tokens),
        rows: Math.max(largest.rows, shape.rows),
        pairs: Math.max(largest.pairs, shape.pairs),
      };
    }
    return largest;
  }

  #order(epoch: number): ArrayLike<number> {
    if (this.#cached?.epoch !== epoch) {
      this.#cached = { epoch, order: epochOrder(this.#options.seed, epoch, this.#examples) };
    }
    return this.#cached.order;
  }
}

/** The smallest bucket that a micro-batch fits. @throws RangeError when none was planned for it. */
export function bucketFor(buckets: ReadonlyMap<number, BatchShape>, size: BatchShape): BatchShape {
  let best: BatchShape | undefined;
  for (const bucket of buckets.values()) {
    const fits = bucket.tokens >= size.tokens && bucket.rows >= size.rows && bucket.pairs >= size.pairs;
    if (fits && (best === undefined || bucket.tokens < best.tokens)) best = bucket;
  }
  if (best === undefined)
    throw new RangeError(`No bucket was planned for a micro-batch of ${JSON.stringify(size)}.`);
  return best;
}
