/** From a checkpoint to the GPU, a piece at a time, so that host memory stays small whatever the model. */
import {
  bytesPerElement,
  elementCount,
  rowLength,
  rowRange,
  type Tensor,
  whole,
} from '../../autograd/tensor.ts';
import { InputError } from '../../errors.ts';
import { Checksum } from '../../formats/checksum.ts';
import { allFinite, decodeFloats, encodeFloats, type FloatDType } from '../../formats/half.ts';
import type { Gpu } from '../../gpu/device.ts';
import { PIECE_BYTES, SLOTS, UploadRing } from '../../gpu/staging.ts';
import { type SharedTensor, writeShared } from '../../nn/shares.ts';
import { GROUP, type QuantizedDType, quantize } from './quantize.ts';
import type { WeightSource } from './random-weights.ts';

/** What weights are read in where they are not quantized. */
export type ComputeDType = 'f32' | 'f16' | 'bf16';

/** Its name in files. */
export const FILE_DTYPE: Readonly<Record<ComputeDType, FloatDType>> = {
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
};

/** Lends a ring that suits weights of these shapes. */
export async function throughRing(
  gpu: Gpu,
  weights: readonly { readonly shape: readonly number[] }[],
  copy: (ring: UploadRing) => Promise<void>,
): Promise<void> {
  const largest = Math.max(...weights.map(({ shape }) => 4 * elementCount(shape)));
  // Small models take a small ring: all of its pieces together are as long as the largest weight.
  const ring = new UploadRing(gpu, Math.min(PIECE_BYTES, 8 * Math.ceil(largest / SLOTS / 8)));
  try {
    await copy(ring);
  } finally {
    ring.free();
  }
}

/**
 * Copies one weight to the GPU piece by piece, converting where dtypes differ.
 * @param master gets what this rank holds of it, in f32
 * @returns whether the dtype of `tensor` holds every value; f16 ends at 65504, and what is beyond became infinite
 * @throws InputError for values that are not finite
 */
export async function copyWeight(
  ring: UploadRing,
  directory: WeightSource,
  name: string,
  tensor: Tensor,
  checksum = new Checksum(),
  master?: SharedTensor,
): Promise<boolean> {
  const from = (directory.tensors.get(name)?.dtype ?? 'F32') as FloatDType;
  const { dtype, scales } = tensor;
  const fromBytes = from === 'F32' ? 4 : 2;
  const length = rowLength(tensor.shape);
  // An even number of rows keeps 16-bit pieces on multiples of four bytes.
  const step = Math.max(2, 2 * Math.floor(PIECE_BYTES / (8 * length)));
  let fits = true;
  for (const [i, shard] of tensor.shards.entries()) {
    for (let row = 0; row < shard.rows; row += step) {
      const rows = Math.min(step, shard.rows - row);
      const bytes = await directory.readRange(
        name,
        (shard.rowStart + row) * length * fromBytes,
        rows * length * fromBytes,
      );
      checksum.add(bytes);
      if (!allFinite(bytes, from)) throw notFinite(directory, name);
      if (master !== undefined)
        await writeShared(ring, master.parts[i], row * length, decodeFloats(bytes, from));
      const place = row * length * bytesPerElement(dtype);
      if (scales !== undefined) {
        const quantized = quantize(decodeFloats(bytes, from), dtype as QuantizedDType);
        await ring.write(shard, quantized.packed, place);
        const ofRows = rowRange(scales, shard.rowStart, shard.rows);
        await ring.write(whole(ofRows), quantized.scales, (4 * row * length) / GROUP);
        continue;
      }
      const to = FILE_DTYPE[dtype as ComputeDType];
      const converted = from === to ? bytes : encodeFloats(decodeFloats(bytes, from), to);
      fits &&= to !== 'F16' || allFinite(converted, to);
      const padded = converted.byteLength % 4 === 0 ? converted : new Uint8Array([...converted, 0, 0]);
      await ring.write(shard, padded, place);
    }
  }
  return fits;
}

function notFinite({ path }: WeightSource, name: string): InputError {
  return new InputError(
    `${path}: ${name} has values that are not finite; the weights are damaged, or a training diverged.`,
  );
}
