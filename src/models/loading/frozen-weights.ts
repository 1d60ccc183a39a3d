/**
 * Weights that are not trained. GPUs with 16-bit arithmetic hold a matrix of products that the checkpoint has in bf16 as f16, if all of it
 * lies within f16's range: tensor cores are fed f16, and converting once saves it at every load.
 *
 *   |w| >= 2^-17            exact: f16 has 11 bits to bf16's 8, and multiples of 2^-24 below 2^-14
 *   |w| <  2^-17            rounded to a multiple of 2^-24, so wrong by at most 2^-25; products staged in f16 do so anyway
 *   some |w| > 65504        the matrix stays in bf16
 *
 * Nothing is ever saved from here: merging and adapters read the checkpoint's own bytes.
 */
import { allocateTensor, type DType, type Tensor } from '../../autograd/tensor.ts';
import { InputError } from '../../errors.ts';
import type { Checksum } from '../../formats/checksum.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { UploadRing } from '../../gpu/staging.ts';
import type { WeightSpec } from '../causal-lm.ts';
import { copyWeight } from './copy-weight.ts';
import { GROUP, type QuantizedDType } from './quantize.ts';
import type { WeightSource } from './random-weights.ts';

/** A weight of a checkpoint, and how it is to be held. */
interface FrozenWeight {
  readonly directory: WeightSource;
  readonly spec: WeightSpec;
  /** Of the compute copies. */
  readonly dtype: DType;
  readonly quantize: QuantizedDType | undefined;
  /** Whether products read it, in the fastest form. */
  readonly mayBeHalf: boolean;
}

/**
 * @param checksum of the checkpoint, gets its bytes
 * @throws InputError for a value that is not finite, that f16 was asked to hold and cannot, or rows that are no whole number of groups
 */
export async function loadFrozen(
  gpu: Gpu,
  ring: UploadRing,
  weight: FrozenWeight,
  checksum: Checksum,
): Promise<Tensor> {
  const { directory, spec } = weight;
  const { name } = spec;
  const tensor = allocateFrozen(gpu, weight);
  const isStored = directory.tensors.get(name)?.dtype === 'BF16';
  if (
    weight.mayBeHalf &&
    isStored &&
    tensor.dtype === 'bf16' &&
    gpu.profile.kernels === 'gpu' &&
    gpu.has('shader-f16')
  ) {
    const half: Tensor = { ...tensor, dtype: 'f16' };
    if (await copyWeight(ring, directory, name, half, checksum)) return half;
    // Once more, over the infinities.
    await copyWeight(ring, directory, name, tensor);
    return tensor;
  }
  if (await copyWeight(ring, directory, name, tensor, checksum)) return tensor;
  throw new InputError(
    `${directory.path}: ${name} has values beyond 65504, where f16 ends; leave out model.dtype.`,
  );
}

/** Vectors in f32, matrices in the compute dtype, or quantized where the family allows it. */
function allocateFrozen(
  gpu: Gpu,
  { spec: { name, shape, quantizable }, dtype, quantize }: FrozenWeight,
): Tensor {
  if (quantizable && quantize !== undefined) return allocateQuantized(gpu, name, shape, quantize);
  return allocateTensor(gpu, name, shape, shape.length === 1 ? 'f32' : dtype, 'weights');
}

/** @throws InputError for rows that are no whole number of groups. */
function allocateQuantized(gpu: Gpu, name: string, shape: readonly number[], dtype: QuantizedDType): Tensor {
  const [rows, inner] = shape;
  if (inner % GROUP !== 0) {
    throw new InputError(
      `${name}: rows of ${inner} cannot be quantized in groups of ${GROUP}. Leave out model.load_in_8bit and load_in_4bit.`,
    );
  }
  const scales = allocateTensor(gpu, `${name} scales`, [rows, inner / GROUP], 'f32', 'weights');
  return { ...allocateTensor(gpu, name, shape, dtype, 'weights'), scales };
}
