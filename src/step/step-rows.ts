/** The rows of a data set as steps take them: laid out, measured and packed alike wherever a batch of them runs. */
import {
  addShapes,
  type BatchShape,
  type ExampleLayout,
  type PackedBatch,
  packBatch,
  shapeOf,
} from '../data/batches.ts';
import type { Example } from '../data/examples.ts';
import type { BatchExtras } from './batch-tensors.ts';
import { type BatchItem, itemsOf, type MicroBatch } from './micro-batches.ts';

export interface RowOptions {
  /** Every prompt also gets the answer of its partner, as KTO needs it. Default false. */
  readonly mismatched?: boolean;
  /** A prompt is computed once for all of its answers. Default true. */
  readonly promptSharing?: boolean;
}

/** What a reference says about the rows where it does not run beside the policy. */
export interface ReferenceValues {
  /** Per example: log-probs of its response tokens, in the order its answers are packed. */
  readonly logps?: readonly Float32Array[] | undefined;
  readonly hidden?: HiddenRows | undefined;
}

/** Hidden states of response tokens that lie somewhere outside of the GPU. */
export interface HiddenRows {
  /** Rows of some examples one after the other, f32 [rows, hidden size]. */
  read(examples: readonly number[]): Promise<Float32Array<ArrayBuffer>>;
}

export class StepRows {
  readonly examples: readonly Example[];
  readonly #options: RowOptions;
  readonly #reference: ReferenceValues;

  constructor(examples: readonly Example[], options: RowOptions = {}, reference: ReferenceValues = {}) {
    this.examples = examples;
    this.#options = options;
    this.#reference = reference;
  }

  /** All rows in their order. */
  get items(): BatchItem[] {
    return itemsOf([...this.examples.keys()], this.examples.length);
  }

  examplesOf(batch: MicroBatch): Example[] {
    return batch.map(({ example }) => this.examples[example]);
  }

  /** Tokens, response tokens and pairs that a batch has. */
  shapeOf(batch: MicroBatch): BatchShape {
    return batch
      .map((item) => shapeOf(this.examples[item.example], this.#layoutOf(item)))
      .reduce(addShapes, { tokens: 0, rows: 0, pairs: 0 });
  }

  pack(batch: MicroBatch, capacity: BatchShape): PackedBatch {
    return packBatch(this.examplesOf(batch), capacity, (n) => this.#layoutOf(batch[n]));
  }

  /** What is known of the reference on a batch. */
  async referenceOf(batch: MicroBatch): Promise<Pick<BatchExtras, 'refLogps' | 'refHidden'>> {
    const indices = batch.map(({ example }) => example);
    const { logps, hidden } = this.#reference;
    return {
      refLogps: logps && concatenated(indices.map((i) => logps[i])),
      refHidden: await hidden?.read(indices),
    };
  }

  /** The mismatched completion is the chosen (or only) answer of the partner. */
  #layoutOf({ partner }: BatchItem): ExampleLayout {
    const { mismatched = false, promptSharing: sharePrompt } = this.#options;
    if (!mismatched) return { sharePrompt };
    const other = this.examples[partner];
    return { mismatched: other.kind === 'pair' ? other.chosen : other.completion, sharePrompt };
  }
}

function concatenated(vectors: readonly Float32Array[]): Float32Array {
  const result = new Float32Array(vectors.reduce((n, { length }) => n + length, 0));
  let offset = 0;
  for (const vector of vectors) {
    result.set(vector, offset);
    offset += vector.length;
  }
  return result;
}
