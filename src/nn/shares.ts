/**
 * What ranks hold between them: of a slab that every rank would otherwise hold alike, each keeps one slice, the n-th rank the
 * n-th. Slices are equally long but for the last ones, which may be shorter or empty.
 */
import { bytesPerElement, rowLength, type Tensor, whole } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import { BINDING_ALIGNMENT, type Slice } from '../gpu/memory.ts';
import type { UploadRing } from '../gpu/staging.ts';

/** Elements [start, start + length) of a slab. */
export interface Share {
  readonly start: number;
  readonly length: number;
}

/** Elements of every slice but the last ones: a slice may be bound in any dtype. */
export function shareLength(length: number, ranks: number): number {
  const step = BINDING_ALIGNMENT / 2;
  return Math.ceil(length / ranks / step) * step;
}

export function shareOf(length: number, rank: number, ranks: number): Share {
  const each = shareLength(length, ranks);
  const start = Math.min(rank * each, length);
  return { start, length: Math.min(each, length - start) };
}

/** The elements of `share` in a tensor as long as its slab. */
export function sliceOf(tensor: Tensor, { start, length }: Share): Tensor {
  const size = bytesPerElement(tensor.dtype);
  const slice = { ...whole(tensor), byteOffset: size * start, byteLength: size * length };
  return { ...tensor, shape: [length], shards: [{ ...slice, rowStart: 0, rows: length }] };
}

/** An f32 tensor that ranks hold between them. */
export interface SharedTensor {
  readonly label: string;
  readonly shape: readonly number[];
  readonly parts: readonly SharedPart[];
}

/** Consecutive elements of a tensor that lie in one slab. */
export interface SharedPart {
  /** Place of the first among the elements of the tensor, how many there are, and the first one's place in the slab. */
  readonly first: number;
  readonly count: number;
  readonly offset: number;
  /** What this rank has of the slab. */
  readonly share: Share;
  readonly held: Tensor;
}

export function isShared(tensor: Tensor | SharedTensor): tensor is SharedTensor {
  return 'parts' in tensor;
}

/** @throws RangeError for one that ranks hold between them */
export function unshared(tensor: Tensor | SharedTensor): Tensor {
  if (isShared(tensor)) throw new RangeError(`Ranks hold ${tensor.label} between them.`);
  return tensor;
}

/** The same runs of rows as in `whole tensors`, as parts of slabs. */
export function sharedTensor(
  label: string,
  shape: readonly number[],
  runs: readonly {
    readonly offset: number;
    readonly rowStart: number;
    readonly rows: number;
    readonly share: Share;
    readonly held: Tensor;
  }[],
): SharedTensor {
  const length = rowLength(shape);
  const parts = runs.map(({ offset, rowStart, rows, share, held }) => ({
    first: rowStart * length,
    count: rows * length,
    offset,
    share,
    held,
  }));
  return { label, shape, parts };
}

/** Elements [start, start + count) of a part. Every rank must ask for the same, and each gets all of them. */
export async function readShared(
  gpu: Gpu,
  part: SharedPart,
  start: number,
  count: number,
): Promise<Float32Array<ArrayBuffer>> {
  const own = ownRange(part, start, count);
  const bytes = own === undefined ? new ArrayBuffer(0) : await gpu.read(own.slice);
  const all = await gpu.runtime.ranks.allGather(new Uint8Array(bytes));
  return new Float32Array(await new Blob(all).arrayBuffer());
}

/** Writes what this rank holds of the elements from `start` on. @param values f32, all of them */
export async function writeShared(
  ring: UploadRing,
  part: SharedPart,
  start: number,
  values: Float32Array<ArrayBuffer>,
): Promise<void> {
  const own = ownRange(part, start, values.length);
  if (own !== undefined) await ring.write(own.slice, values.subarray(own.from, own.from + own.length));
}

/** What this rank holds of elements [start, start + count) of a part, and its place among them. */
function ownRange(
  { offset, share, held }: SharedPart,
  start: number,
  count: number,
): { readonly slice: Slice; readonly from: number; readonly length: number } | undefined {
  const first = Math.max(offset + start, share.start);
  const end = Math.min(offset + start + count, share.start + share.length);
  if (first >= end) return undefined;
  const slice = { ...whole(held), byteOffset: 4 * (first - share.start), byteLength: 4 * (end - first) };
  return { slice, from: first - offset - start, length: end - first };
}
