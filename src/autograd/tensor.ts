/**
 * A tensor: shape, dtype and the GPU memory that holds it, row-major.
 *
 * Ownership is explicit. A persistent tensor (weights, moments, inputs) is made by `allocateTensor` and freed by whoever
 * made it. A temporary belongs to the program that records it; nobody frees it.
 *
 * A tensor larger than one binding is cut along its first dimension into shards, each at most one binding long. Ops loop
 * over `shards`; most tensors have one.
 */

import { InputError } from '../errors.ts';
import type { Gpu } from '../gpu/device.ts';
import { BINDING_ALIGNMENT, formatBytes, type MemoryKind, type Slice, type Storage } from '../gpu/memory.ts';
import type { Recorder } from '../gpu/program.ts';

/**
 * f16 and bf16 are stored packed, two to a u32, low half first, so that every adapter can hold them. i8 and nf4 are frozen
 * weights of linear layers, with scales beside them (src/models/quantize.ts).
 */
export type DType = 'f32' | 'f16' | 'bf16' | 'u32' | 'i32' | 'i8' | 'nf4';

const BYTES: Readonly<Record<DType, number>> = { f32: 4, u32: 4, i32: 4, f16: 2, bf16: 2, i8: 1, nf4: 0.5 };

export function bytesPerElement(dtype: DType): number {
  return BYTES[dtype];
}

/** Rows [rowStart, rowStart + rows) of a tensor. */
export interface Shard extends Slice {
  readonly rowStart: number;
  readonly rows: number;
}

export interface Tensor {
  readonly label: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly shards: readonly Shard[];
  /** Of quantized weights: f32 [rows, groups along a row]. */
  readonly scales?: Tensor;
  /** Whether gradients flow into this tensor. */
  readonly requiresGrad: boolean;
  /** For a leaf that is trained: where its gradient is accumulated, f32, same shape. */
  readonly gradient?: Tensor;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((n, d) => n * d, 1);
}

/** Elements in one index of the first dimension. */
export function rowLength(shape: readonly number[]): number {
  return elementCount(shape.slice(1));
}

/** The one slice of a tensor that was not cut. @throws RangeError for a sharded tensor. */
export function whole(tensor: Tensor): Slice {
  if (tensor.shards.length !== 1) {
    throw new RangeError(
      `${tensor.label} is cut into ${tensor.shards.length} shards; this operation takes whole tensors only.`,
    );
  }
  return tensor.shards[0];
}

/** Rows [start, start + rows) of a tensor that lie in one shard. */
export function rowRange(tensor: Tensor, start: number, rows: number): Tensor {
  const rowBytes = rowLength(tensor.shape) * bytesPerElement(tensor.dtype);
  const shard = tensor.shards.find((s) => s.rowStart <= start && start + rows <= s.rowStart + s.rows);
  if (shard === undefined)
    throw new RangeError(`${tensor.label}: rows ${start} to ${start + rows} cross a shard.`);
  const slice = {
    storage: shard.storage,
    byteOffset: shard.byteOffset + (start - shard.rowStart) * rowBytes,
    byteLength: Math.ceil((rows * rowBytes) / 4) * 4,
    rowStart: 0,
    rows,
  };
  return { ...tensor, shape: [rows, ...tensor.shape.slice(1)], shards: [slice], gradient: undefined };
}

/**
 * Tensors as one, their rows one after the other, without a copy; so are their gradients. Undefined where they do not lie so in
 * memory, or are not of one kind.
 */
export function joinRows(tensors: readonly Tensor[]): Tensor | undefined {
  const [first] = tensors;
  const { dtype, requiresGrad } = first;
  let end = first.shards[0].byteOffset;
  for (const { shape, shards, ...tensor } of tensors) {
    const [{ storage, byteOffset, byteLength }] = shards;
    const isNext = storage === first.shards[0].storage && byteOffset === end && shards.length === 1;
    const isAlike = tensor.dtype === dtype && tensor.requiresGrad === requiresGrad && !tensor.scales;
    if (!isNext || !isAlike || rowLength(shape) !== rowLength(first.shape)) return undefined;
    end += byteLength;
  }
  const gradients = tensors.flatMap(({ gradient }) => gradient ?? []);
  const gradient = gradients.length === tensors.length ? joinRows(gradients) : undefined;
  if (gradients.length > 0 && gradient === undefined) return undefined;
  const rows = tensors.reduce((sum, { shape }) => sum + shape[0], 0);
  const byteLength = end - first.shards[0].byteOffset;
  return {
    label: tensors.map(({ label }) => label).join(', '),
    shape: [rows, ...first.shape.slice(1)],
    dtype,
    shards: [{ ...first.shards[0], byteLength, rowStart: 0, rows }],
    requiresGrad,
    gradient,
  };
}

/** How many rows of a tensor fit into one binding. @throws InputError when not even one does. */
export function rowsPerShard(
  label: string,
  shape: readonly number[],
  dtype: DType,
  maxBindingBytes: number,
): number {
  const rowBytes = rowLength(shape) * bytesPerElement(dtype);
  const rows = Math.floor(maxBindingBytes / rowBytes);
  if (rows === 0) {
    throw new InputError(
      `${label}: one row of ${formatBytes(rowBytes)} is longer than a binding of this adapter (${formatBytes(maxBindingBytes)}).`,
    );
  }
  // Shard borders fall on multiples of 64 rows where they can, so that tiles and packed pairs are never split.
  return rows >= 64 ? rows - (rows % 64) : rows;
}

/** Makes a zero-filled persistent tensor, cut into shards where one binding cannot hold it. */
export function allocateTensor(
  gpu: Gpu,
  label: string,
  shape: readonly number[],
  dtype: DType,
  kind: MemoryKind,
): Tensor {
  const tensor = reserveTensor(gpu, label, shape, dtype, kind);
  for (const { storage } of tensor.shards) gpu.memory.place(storage, 'gpu');
  return tensor;
}

/** The same without memory: whoever reserves it places its storages. */
export function reserveTensor(
  gpu: Gpu,
  label: string,
  shape: readonly number[],
  dtype: DType,
  kind: MemoryKind,
): Tensor {
  const rowBytes = rowLength(shape) * bytesPerElement(dtype);
  const rowCount = shape[0] ?? 1;
  const step = Math.min(rowCount, rowsPerShard(label, shape, dtype, gpu.maxBindingBytes));
  const shards: Shard[] = [];
  for (let rowStart = 0; rowStart < rowCount; rowStart += step) {
    const rows = Math.min(step, rowCount - rowStart);
    const storage = gpu.memory.reserve(label, rows * rowBytes, kind);
    shards.push({ storage, byteOffset: 0, byteLength: storage.byteLength, rowStart, rows });
  }
  return { label, shape, dtype, shards, requiresGrad: false };
}

/** Frees a persistent tensor. */
export function freeTensor(gpu: Gpu, tensor: Tensor): void {
  for (const shard of tensor.shards) gpu.memory.free(shard.storage);
  if (tensor.scales !== undefined) freeTensor(gpu, tensor.scales);
}

/** A temporary of the program being recorded. f32 unless said otherwise. */
export function temporary(
  recorder: Recorder,
  label: string,
  shape: readonly number[],
  dtype: DType = 'f32',
): Tensor {
  const storage = recorder.temporary(label, elementCount(shape) * bytesPerElement(dtype));
  return fromStorage(storage, shape, dtype);
}

/** A tensor over a whole storage. */
export function fromStorage(storage: Storage, shape: readonly number[], dtype: DType): Tensor {
  const shard = { storage, byteOffset: 0, byteLength: storage.byteLength, rowStart: 0, rows: shape[0] ?? 1 };
  return { label: storage.label, shape, dtype, shards: [shard], requiresGrad: false };
}

/** The papers' stop-gradient: the same values, through which nothing flows back. */
export function detach(tensor: Tensor): Tensor {
  return { ...tensor, requiresGrad: false, gradient: undefined };
}

/** Bytes to the next multiple at which a slice may start. */
export function alignUp(bytes: number): number {
  return Math.ceil(bytes / BINDING_ALIGNMENT) * BINDING_ALIGNMENT;
}

/**
 * Copies host values into a persistent tensor.
 * @throws RangeError when the byte counts differ.
 */
export function upload(gpu: Gpu, tensor: Tensor, data: ArrayBufferView<ArrayBuffer>): void {
  const rowBytes = rowLength(tensor.shape) * bytesPerElement(tensor.dtype);
  const expected = (tensor.shape[0] ?? 1) * rowBytes;
  if (data.byteLength !== expected) {
    throw new RangeError(`${tensor.label}: ${data.byteLength} bytes given for a tensor of ${expected}.`);
  }
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  for (const shard of tensor.shards) {
    const part = bytes.subarray(shard.rowStart * rowBytes, (shard.rowStart + shard.rows) * rowBytes);
    // writeBuffer takes multiples of four bytes; an odd row of 16-bit values is padded.
    gpu.write(shard, part.byteLength % 4 === 0 ? part : padded(part));
  }
}

/** Reads an f32 tensor back. */
export async function download(gpu: Gpu, tensor: Tensor): Promise<Float32Array<ArrayBuffer>> {
  const result = new Float32Array(elementCount(tensor.shape));
  const length = rowLength(tensor.shape);
  for (const shard of tensor.shards) {
    const bytes = await gpu.read(shard, 0, shard.rows * length * 4);
    result.set(new Float32Array(bytes), shard.rowStart * length);
  }
  return result;
}

function padded(part: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(Math.ceil(part.byteLength / 4) * 4);
  copy.set(part);
  return copy;
}
