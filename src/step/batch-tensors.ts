/**
 * The GPU side of a packed batch: one buffer per shape bucket, cut into aligned fields and filled by a single write.
 * Kernels only read it.
 */
import { alignUp, allocateTensor, elementCount, freeTensor, type Tensor, whole } from '../autograd/tensor.ts';
import type { BatchShape, PackedBatch } from '../data/batches.ts';
import type { Example } from '../data/examples.ts';
import { occurrences, picks } from '../data/occurrences.ts';
import { mostBlocks, tokenBlocks } from '../data/token-blocks.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Storage } from '../gpu/memory.ts';
import type { Answers } from '../objectives/objective.ts';

/** The counts of a whole optimizer step, over which its micro-batches are averaged. */
export interface StepCounts {
  readonly pairs: number;
  /** Response tokens of all chosen answers. */
  readonly chosenTokens: number;
  /** All answers, chosen and rejected: what KTO's mean is over. */
  readonly answers: number;
}

/** The counts of the examples of one step, in all of its micro-batches. */
export function countsOf(examples: readonly Example[]): StepCounts {
  const chosen = (e: Example) =>
    e.kind === 'pair' ? e.chosen.ids.length : e.label ? e.completion.ids.length : 0;
  return {
    pairs: examples.length,
    chosenTokens: Math.max(
      1,
      examples.reduce((n, e) => n + chosen(e), 0),
    ),
    answers: examples.reduce((n, e) => n + (e.kind === 'pair' ? 2 : 1), 0),
  };
}

/** What a batch carries besides its tokens. */
export interface BatchExtras {
  readonly counts: StepCounts;
  /** Reference log-probs of the response tokens, in row order; fewer than the capacity is fine. */
  readonly refLogps?: Float32Array;
  /** Standard Gumbel noise, one per pair. */
  readonly gumbels?: Float32Array;
  /** The reference's hidden states of the response tokens, [rows, hidden]; fewer rows than the capacity is fine. */
  readonly refHidden?: Float32Array<ArrayBuffer>;
  /** Rows of the step that come before this micro-batch's; for objectives that see the step as a whole. */
  readonly rowOffset?: number;
}

/** Every field with its dtype and its shape for a capacity. */
const FIELDS = {
  ids: ['u32', (c) => [c.tokens]],
  positions: ['u32', (c) => [c.tokens]],
  visibility: ['u32', (c) => [c.tokens, 4]],
  seen: ['u32', (c) => [c.tokens, 2]],
  blocks: ['u32', (c) => [mostBlocks(c), 2]],
  occurrenceOrder: ['u32', (c) => [c.tokens]],
  occurrenceStarts: ['u32', (c) => [c.tokens + 1]],
  occurrenceIds: ['u32', (c) => [c.tokens]],
  headRows: ['u32', (c) => [c.rows]],
  pickStarts: ['u32', (c) => [c.tokens + 1]],
  picks: ['u32', (c) => [c.rows]],
  targets: ['u32', (c) => [c.rows]],
  diff: ['f32', (c) => [c.rows]],
  weights: ['f32', (c) => [c.rows]],
  refLogps: ['f32', (c) => [c.rows]],
  chosen: ['u32', (c) => [c.pairs, 2]],
  rejected: ['u32', (c) => [c.pairs, 2]],
  mismatched: ['u32', (c) => [c.pairs, 2]],
  chosenLengths: ['f32', (c) => [c.pairs]],
  rejectedLengths: ['f32', (c) => [c.pairs]],
  mismatchedLengths: ['f32', (c) => [c.pairs]],
  pairWeights: ['f32', (c) => [c.pairs]],
  tokenWeights: ['f32', (c) => [c.pairs]],
  desirable: ['f32', (c) => [c.pairs]],
  undesirable: ['f32', (c) => [c.pairs]],
  gumbels: ['f32', (c) => [c.pairs]],
  place: ['u32', () => [2]],
} as const satisfies Record<string, readonly ['u32' | 'f32', (capacity: BatchShape) => readonly number[]]>;

type FieldName = keyof typeof FIELDS;

export class BatchTensors {
  readonly capacity: BatchShape;
  readonly #gpu: Gpu;
  readonly #storage: Storage;
  readonly #host: ArrayBuffer;
  readonly #tensors: Readonly<Record<FieldName, Tensor>>;
  readonly #refHidden: Tensor | undefined;

  /** @param refWidth hidden size of a reference whose hidden states come with every batch */
  constructor(gpu: Gpu, capacity: BatchShape, refWidth?: number) {
    this.#gpu = gpu;
    this.capacity = capacity;
    this.#refHidden =
      refWidth === undefined
        ? undefined
        : allocateTensor(gpu, 'reference hidden states', [capacity.rows, refWidth], 'f32', 'reference');
    const names = Object.keys(FIELDS) as FieldName[];
    const shapes = names.map((name) => FIELDS[name][1](capacity));
    const offsets: number[] = [];
    let end = 0;
    for (const shape of shapes) {
      offsets.push(end);
      end = alignUp(end + 4 * Math.max(1, elementCount(shape)));
    }
    this.#storage = gpu.memory.allocate('batch', end, 'batch');
    this.#host = new ArrayBuffer(end);
    this.#tensors = Object.fromEntries(
      names.map((name, i): [FieldName, Tensor] => {
        const byteLength = 4 * Math.max(1, elementCount(shapes[i]));
        const shard = {
          storage: this.#storage,
          byteOffset: offsets[i],
          byteLength,
          rowStart: 0,
          rows: shapes[i][0],
        };
        return [
          name,
          { label: name, shape: shapes[i], dtype: FIELDS[name][0], shards: [shard], requiresGrad: false },
        ];
      }),
    ) as Record<FieldName, Tensor>;
  }

  get(name: FieldName): Tensor {
    return this.#tensors[name];
  }

  /** The reference's hidden states, f32 [rows, hidden]. @throws RangeError when the batch was made without them */
  get refHidden(): Tensor {
    if (this.#refHidden === undefined) throw new RangeError('The batch has no reference hidden states.');
    return this.#refHidden;
  }

  /** One side of the pairs, as objectives see it. */
  answers(side: 'chosen' | 'rejected' | 'mismatched'): Answers {
    return { segments: this.get(side), lengths: this.get(`${side}Lengths`) };
  }

  /** Copies a batch, packed to this capacity, to the GPU. */
  load(batch: PackedBatch, extras: BatchExtras): void {
    const { ids, positions, visibility, seen, headRows, targets, diff, weights } = batch;
    const { chosen, rejected, mismatched } = batch;
    const arrays = {
      ids,
      positions,
      visibility,
      seen,
      headRows,
      targets,
      diff,
      weights,
      chosen,
      rejected,
      mismatched,
    };
    for (const [name, values] of Object.entries(arrays)) this.#set(name as keyof typeof arrays, values);
    this.#set('blocks', tokenBlocks(visibility, batch.used.tokens));
    const found = occurrences(ids.subarray(0, batch.used.tokens), this.capacity.tokens);
    this.#set('occurrenceOrder', found.order);
    this.#set('occurrenceStarts', found.starts);
    this.#set('occurrenceIds', found.uniqueIds);
    const picked = picks(headRows.subarray(0, batch.used.rows), this.capacity);
    this.#set('pickStarts', picked.starts);
    this.#set('picks', picked.picks);
    this.#set('chosenLengths', lengthsOf(chosen));
    this.#set('rejectedLengths', lengthsOf(rejected));
    this.#set('mismatchedLengths', lengthsOf(mismatched));
    this.#set('refLogps', extras.refLogps ?? []);
    this.#set('gumbels', extras.gumbels ?? []);
    this.#set('place', [extras.rowOffset ?? 0, batch.used.rows]);
    this.#setPairWeights(batch, extras.counts);
    if (extras.refHidden !== undefined) this.#gpu.write(whole(this.refHidden), extras.refHidden);
    this.#gpu.write(
      { storage: this.#storage, byteOffset: 0, byteLength: this.#host.byteLength },
      new Uint8Array(this.#host),
    );
  }

  free(): void {
    this.#gpu.memory.free(this.#storage);
    if (this.#refHidden !== undefined) freeTensor(this.#gpu, this.#refHidden);
  }

  #setPairWeights(batch: PackedBatch, counts: StepCounts): void {
    const real = (i: number) => i < batch.used.pairs;
    const has = (side: Uint32Array, i: number) => side[2 * i + 1] > side[2 * i];
    const fill = (name: FieldName, value: (i: number) => number) =>
      this.#set(
        name,
        Float32Array.from({ length: this.capacity.pairs }, (_, i) => value(i)),
      );
    fill('pairWeights', (i) => (real(i) ? 1 / counts.pairs : 0));
    fill('tokenWeights', (i) => (real(i) && has(batch.chosen, i) ? 1 / counts.chosenTokens : 0));
    fill('desirable', (i) => (real(i) && has(batch.chosen, i) ? 1 / counts.answers : 0));
    fill('undesirable', (i) => (real(i) && has(batch.rejected, i) ? 1 / counts.answers : 0));
  }

  /** Fills a field from its start and zeroes the rest. */
  #set(name: FieldName, values: ArrayLike<number>): void {
    const { byteOffset } = this.#tensors[name].shards[0];
    const length = elementCount(this.#tensors[name].shape);
    const view =
      FIELDS[name][0] === 'f32'
        ? new Float32Array(this.#host, byteOffset, length)
        : new Uint32Array(this.#host, byteOffset, length);
    view.set(values);
    view.fill(0, values.length);
  }
}

/** |y| per answer; 1 in empty slots, so that means stay finite. */
function lengthsOf(segments: Uint32Array): Float32Array {
  return Float32Array.from({ length: segments.length / 2 }, (_, i) =>
    Math.max(1, segments[2 * i + 1] - segments[2 * i]),
  );
}

/** What is known of each example of a batch, end to end; undefined where nothing is. */
export function joined(parts: readonly (Float32Array | undefined)[]): Float32Array | undefined {
  const known = parts.filter((p) => p !== undefined);
  if (known.length === 0) return undefined;
  const result = new Float32Array(known.reduce((n, p) => n + p.length, 0));
  let offset = 0;
  for (const part of known) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}
