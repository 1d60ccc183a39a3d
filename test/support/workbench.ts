/** Host values on the GPU for the length of one test: what ops are fed with. */
import { allocateTensor, freeTensor, type Tensor, upload } from '../../src/autograd/tensor.ts';
import { normalAt, randomWord } from '../../src/data/random.ts';
import { encodeFloats } from '../../src/formats/half.ts';
import type { Gpu } from '../../src/gpu/device.ts';

/** Values of one tensor. They are exact in `dtype`, so that a host reference sees what the GPU sees. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
  /** Default f32. */
  readonly dtype?: 'f32' | 'f16' | 'bf16';
}

export class Workbench {
  readonly gpu: Gpu;
  readonly #tensors: Tensor[] = [];
  readonly #indices = new Map<Tensor, Int32Array>();

  constructor(gpu: Gpu) {
    this.gpu = gpu;
  }

  /** A float tensor; 16-bit ones are stored packed. */
  floats(label: string, { shape, data, dtype = 'f32' }: HostTensor): Tensor {
    const values = new Float32Array(data);
    const bytes = dtype === 'f32' ? values : encodeFloats(values, dtype === 'f16' ? 'F16' : 'BF16');
    return this.#make(label, shape, dtype, bytes);
  }

  /** A u32 tensor whose values plain references can look up with `index`. */
  indices(label: string, shape: readonly number[], data: ArrayLike<number>): Tensor {
    const tensor = this.#make(label, shape, 'u32', Uint32Array.from(data));
    this.#indices.set(tensor, Int32Array.from(data));
    return tensor;
  }

  /** The host values of a tensor made by `indices`. */
  readonly index = (tensor: Tensor): Int32Array => {
    const values = this.#indices.get(tensor);
    if (values === undefined) throw new RangeError(`${tensor.label} was not made by indices().`);
    return values;
  };

  /** Has the workbench free a tensor that somebody else made. */
  adopt(tensor: Tensor): void {
    this.#tensors.push(tensor);
  }

  free(): void {
    for (const tensor of this.#tensors) freeTensor(this.gpu, tensor);
  }

  #make(
    label: string,
    shape: readonly number[],
    dtype: Tensor['dtype'],
    bytes: ArrayBufferView<ArrayBuffer>,
  ): Tensor {
    const tensor = allocateTensor(this.gpu, label, shape, dtype, 'state');
    this.#tensors.push(tensor);
    upload(this.gpu, tensor, bytes);
    return tensor;
  }
}

/** Seeded normal numbers rounded to multiples of 1/32 below 4: exact in f32, f16 and bf16. */
export function gridValues(seed: number, shape: readonly number[], scale = 1): HostTensor {
  const count = shape.reduce((n, d) => n * d, 1);
  const round = (x: number) => Math.max(-127, Math.min(127, Math.round(32 * x))) / 32;
  return { shape, data: Float64Array.from({ length: count }, (_, i) => round(scale * normalAt(seed, 0, i))) };
}

/** Seeded whole numbers below `limit`. */
export function gridIndices(seed: number, count: number, limit: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: count }, (_, i) => randomWord(seed, 1, i) % limit);
}
