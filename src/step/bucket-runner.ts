/**
 * Runs programs on micro-batches of any shape. Programs are recorded for a few shapes, the buckets; a micro-batch is packed
 * to the capacity of its bucket, copied there, and the bucket's program runs.
 */
import type { Workspace } from '../autograd/workspace.ts';
import type { BatchShape } from '../data/batches.ts';
import type { Program } from '../gpu/program.ts';
import { type BatchExtras, BatchTensors, type FieldName } from './batch-tensors.ts';
import { bucketTokens, type MicroBatch } from './micro-batches.ts';
import type { StepRows } from './step-rows.ts';

/** What is recorded for one bucket: a program for every pass over a micro-batch, and what the passes leave behind. */
export interface Bucket<Pass extends string, Outputs> {
  readonly programs: Readonly<Record<Pass, Program>>;
  readonly outputs: Outputs;
}

export interface BucketOptions {
  /** What is uploaded with every batch. */
  readonly fields: readonly FieldName[];
  /** Hidden size of a reference whose hidden states come with every batch. */
  readonly refWidth?: number | undefined;
}

export type RunExtras = Omit<BatchExtras, 'refLogps' | 'refHidden'>;

export class BucketRunner<Pass extends string, Outputs> {
  readonly #buckets: ReadonlyMap<number, Bucket<Pass, Outputs> & { readonly batch: BatchTensors }>;

  /**
   * Plans a bucket for each capacity into the workspace, which must be bound before anything runs.
   * @param record records the programs of a bucket, which read its batch
   */
  constructor(
    workspace: Workspace,
    capacities: Iterable<BatchShape>,
    { fields, refWidth }: BucketOptions,
    record: (batch: BatchTensors) => Bucket<Pass, Outputs>,
  ) {
    this.#buckets = new Map(
      Array.from(capacities, (capacity) => {
        const batch = new BatchTensors(workspace, capacity, fields, refWidth);
        return [capacity.tokens, { batch, ...record(batch) }];
      }),
    );
  }

  get bucketCount(): number {
    return this.#buckets.size;
  }

  /**
   * Queues one pass over a micro-batch.
   * @returns what it leaves behind, until the bucket runs again
   */
  async run(pass: Pass, rows: StepRows, batch: MicroBatch, extras: RunExtras): Promise<Outputs> {
    const { programs, outputs } = await this.#load(rows, batch, extras);
    programs[pass].run();
    return outputs;
  }

  /** Copies a micro-batch to its bucket. @returns the program of a pass over it, which must run before anything else is loaded */
  async load(pass: Pass, rows: StepRows, batch: MicroBatch, extras: RunExtras): Promise<Program> {
    return (await this.#load(rows, batch, extras)).programs[pass];
  }

  async #load(rows: StepRows, batch: MicroBatch, extras: RunExtras): Promise<Bucket<Pass, Outputs>> {
    const shape = rows.shapeOf(batch);
    const bucket = this.#buckets.get(bucketTokens(shape.tokens));
    if (bucket === undefined)
      throw new RangeError(`No bucket was planned for a micro-batch of ${JSON.stringify(shape)}.`);
    const reference = await rows.referenceOf(batch);
    bucket.batch.load(rows.pack(batch, bucket.batch.capacity), { ...extras, ...reference });
    return bucket;
  }
}
