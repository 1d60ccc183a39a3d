/**
 * The GPU side of a packed batch: one buffer per shape bucket, cut into aligned fields and filled by a single write.
 * It has the fields that its programs read, and kernels only read it.
 */
import { alignUp, elementCount, type Tensor, whole } from '../autograd/tensor.ts';
import type { Workspace } from '../autograd/workspace.ts';
import type { BatchShape, PackedBatch } from '../data/batches.ts';
import { type Example, lossTokens } from '../data/examples.ts';
import { occurrences, picks } from '../data/occurrences.ts';
import { mostBlocks, tokenBlocks } from '../data/token-blocks.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Storage } from '../gpu/memory.ts';
import type { Answers, Needs } from '../objectives/objective.ts';

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
    e.kind === 'pair' ? lossTokens(e.chosen) : e.label ? lossTokens(e.completion) : 0;
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

/** A packed batch and what is worked out from it, at most once each. */
class Source {
  readonly batch: PackedBatch;
  readonly extras: BatchExtras;
  #occurrences: Occurrences | undefined;
  #picks: Picks | undefined;

  constructor(batch: PackedBatch, extras: BatchExtras) {
    this.batch = batch;
    this.extras = extras;
  }

  get occurrences(): Occurrences {
    const { ids, used, capacity } = this.batch;
    this.#occurrences ??= occurrences(ids.subarray(0, used.tokens), capacity.tokens);
    return this.#occurrences;
  }

  get picks(): Picks {
    const { headRows, used, capacity } = this.batch;
    this.#picks ??= picks(headRows.subarray(0, used.rows), capacity);
    return this.#picks;
  }

  /** `weight` for every pair that is there, and has an answer on the side asked for; else 0. */
  perPair(weight: number, side?: Uint32Array): Float32Array {
    const { used, capacity } = this.batch;
    const has = (i: number) => i < used.pairs && (side === undefined || side[2 * i + 1] > side[2 * i]);
    return Float32Array.from({ length: capacity.pairs }, (_, i) => (has(i) ? weight : 0));
  }
}

type Occurrences = ReturnType<typeof occurrences>;
type Picks = ReturnType<typeof picks>;
type Field = readonly [
  dtype: 'u32' | 'f32',
  shape: (capacity: BatchShape) => readonly number[],
  /** May be shorter than the field: the rest is 0. */
  values: (source: Source) => ArrayLike<number>,
];

/** What a forward pass reads. */
const FORWARD = {
  ids: ['u32', (c) => [c.tokens], ({ batch }) => batch.ids],
  positions: ['u32', (c) => [c.tokens], ({ batch }) => batch.positions],
  visibility: ['u32', (c) => [c.tokens, 4], ({ batch }) => batch.visibility],
  seen: ['u32', (c) => [c.tokens, 2], ({ batch }) => batch.seen],
  blocks: ['u32', (c) => [mostBlocks(c), 2], ({ batch }) => tokenBlocks(batch.visibility, batch.used.tokens)],
  occurrenceOrder: ['u32', (c) => [c.tokens], (source) => source.occurrences.order],
  occurrenceStarts: ['u32', (c) => [c.tokens + 1], (source) => source.occurrences.starts],
  occurrenceIds: ['u32', (c) => [c.tokens], (source) => source.occurrences.uniqueIds],
  headRows: ['u32', (c) => [c.rows], ({ batch }) => batch.headRows],
  pickStarts: ['u32', (c) => [c.tokens + 1], (source) => source.picks.starts],
  picks: ['u32', (c) => [c.rows], (source) => source.picks.picks],
  targets: ['u32', (c) => [c.rows], ({ batch }) => batch.targets],
} as const satisfies Record<string, Field>;

/** What only some objectives, or some ways of running them, read. */
const OPTIONAL = {
  chosen: ['u32', (c) => [c.pairs, 2], ({ batch }) => batch.chosen],
  rejected: ['u32', (c) => [c.pairs, 2], ({ batch }) => batch.rejected],
  mismatched: ['u32', (c) => [c.pairs, 2], ({ batch }) => batch.mismatched],
  chosenLengths: ['f32', (c) => [c.pairs], ({ batch }) => lengthsOf(batch.chosen)],
  rejectedLengths: ['f32', (c) => [c.pairs], ({ batch }) => lengthsOf(batch.rejected)],
  mismatchedLengths: ['f32', (c) => [c.pairs], ({ batch }) => lengthsOf(batch.mismatched)],
  pairWeights: ['f32', (c) => [c.pairs], (source) => source.perPair(1 / source.extras.counts.pairs)],
  likelihoodWeights: [
    'f32',
    (c) => [c.pairs],
    (source) => source.perPair(1 / source.extras.counts.chosenTokens, source.batch.chosen),
  ],
  desirable: [
    'f32',
    (c) => [c.pairs],
    (source) => source.perPair(1 / source.extras.counts.answers, source.batch.chosen),
  ],
  undesirable: [
    'f32',
    (c) => [c.pairs],
    (source) => source.perPair(1 / source.extras.counts.answers, source.batch.rejected),
  ],
  gumbels: ['f32', (c) => [c.pairs], ({ extras }) => extras.gumbels ?? []],
  diff: ['f32', (c) => [c.rows], ({ batch }) => batch.diff],
  weights: ['f32', (c) => [c.rows], ({ batch }) => batch.weights],
  refLogps: ['f32', (c) => [c.rows], ({ extras }) => extras.refLogps ?? []],
  /** Where the rows of a micro-batch lie in its step, and how many there are. */
  place: ['u32', () => [2], ({ batch, extras }) => [extras.rowOffset ?? 0, batch.used.rows]],
} as const satisfies Record<string, Field>;

const FIELDS: Readonly<Record<FieldName, Field>> = { ...FORWARD, ...OPTIONAL };

export type FieldName = keyof typeof FORWARD | keyof typeof OPTIONAL;

/** What a forward pass reads. */
export const FORWARD_FIELDS = Object.keys(FORWARD) as readonly FieldName[];

/** What an objective reads besides log-probs: what it asked for, and no more. */
export function objectiveFields(needs: Needs): FieldName[] {
  const fields: FieldName[] = ['chosen', 'rejected', 'chosenLengths', 'rejectedLengths', 'pairWeights'];
  if (needs.rows === 'labels') fields.push('desirable', 'undesirable');
  if (needs.mismatched) fields.push('mismatched', 'mismatchedLengths');
  if (needs.likelihood) fields.push('likelihoodWeights');
  if (needs.gumbels) fields.push('gumbels');
  if (needs.differences !== undefined) fields.push('diff');
  if (needs.dataWeights) fields.push('weights');
  return fields;
}

export class BatchTensors {
  readonly capacity: BatchShape;
  readonly #gpu: Gpu;
  readonly #storage: Storage;
  /** What is uploaded; made with the first batch. */
  #host: ArrayBuffer | undefined;
  readonly #tensors = new Map<FieldName, Tensor>();
  readonly #refHidden: Tensor | undefined;

  /**
   * @param fields what is uploaded with every batch
   * @param refWidth hidden size of a reference whose hidden states come with every batch
   */
  constructor(workspace: Workspace, capacity: BatchShape, fields: readonly FieldName[], refWidth?: number) {
    this.#gpu = workspace.gpu;
    this.capacity = capacity;
    this.#refHidden =
      refWidth === undefined
        ? undefined
        : workspace.tensor('reference hidden states', [capacity.rows, refWidth], 'f32', 'reference');
    const offsets: number[] = [];
    let end = 0;
    for (const name of fields) {
      offsets.push(end);
      end = alignUp(end + bytesOf(name, capacity));
    }
    this.#storage = workspace.storage('batch', end, 'batch');
    for (const [i, name] of fields.entries()) {
      const [dtype, shapeOf] = FIELDS[name];
      const shape = shapeOf(capacity);
      const byteLength = bytesOf(name, capacity);
      const shard = {
        storage: this.#storage,
        byteOffset: offsets[i],
        byteLength,
        rowStart: 0,
        rows: shape[0],
      };
      this.#tensors.set(name, { label: name, shape, dtype, shards: [shard], requiresGrad: false });
    }
  }

  /** @throws RangeError when the batch was made without this field */
  get(name: FieldName): Tensor {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined) throw new RangeError(`The batch was made without ${name}.`);
    return tensor;
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
    const { byteLength } = this.#storage;
    this.#host ??= new ArrayBuffer(byteLength);
    const source = new Source(batch, extras);
    for (const [name, tensor] of this.#tensors) fill(this.#host, tensor, FIELDS[name][2](source));
    if (extras.refHidden !== undefined) this.#gpu.write(whole(this.refHidden), extras.refHidden);
    this.#gpu.write({ storage: this.#storage, byteOffset: 0, byteLength }, new Uint8Array(this.#host));
  }
}

/** Fills a field from its start and zeroes the rest. */
function fill(host: ArrayBuffer, tensor: Tensor, values: ArrayLike<number>): void {
  const { byteOffset } = tensor.shards[0];
  const Values = tensor.dtype === 'f32' ? Float32Array : Uint32Array;
  const view = new Values(host, byteOffset, elementCount(tensor.shape));
  view.set(values);
  view.fill(0, values.length);
}

function bytesOf(name: FieldName, capacity: BatchShape): number {
  return 4 * Math.max(1, elementCount(FIELDS[name][1](capacity)));
}

/** |y| per answer; 1 in empty slots, so that means stay finite. */
function lengthsOf(segments: Uint32Array): Float32Array {
  return Float32Array.from({ length: segments.length / 2 }, (_, i) =>
    Math.max(1, segments[2 * i + 1] - segments[2 * i]),
  );
}
