/** The u32 inputs of a program in one buffer: filled on the host by field, sent by a single write. */
import { alignUp, elementCount, type Tensor } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Storage } from '../gpu/memory.ts';

export class InputFields<Name extends string> {
  readonly #gpu: Gpu;
  readonly #storage: Storage;
  readonly #host: ArrayBuffer;
  readonly #tensors: Readonly<Record<Name, Tensor>>;

  constructor(gpu: Gpu, label: string, shapes: Readonly<Record<Name, readonly number[]>>) {
    this.#gpu = gpu;
    let end = 0;
    const names = Object.keys(shapes) as Name[];
    const offsets = names.map((name) => {
      const offset = end;
      end = alignUp(end + 4 * elementCount(shapes[name]));
      return offset;
    });
    this.#storage = gpu.memory.allocate(label, end, 'batch');
    this.#host = new ArrayBuffer(end);
    const tensor = (name: Name, byteOffset: number): Tensor => {
      const shape = shapes[name];
      const byteLength = 4 * elementCount(shape);
      const shard = { storage: this.#storage, byteOffset, byteLength, rowStart: 0, rows: shape[0] };
      return { label: `${label}: ${name}`, shape, dtype: 'u32', shards: [shard], requiresGrad: false };
    };
    this.#tensors = Object.fromEntries(names.map((name, i) => [name, tensor(name, offsets[i])])) as Record<
      Name,
      Tensor
    >;
  }

  tensor(name: Name): Tensor {
    return this.#tensors[name];
  }

  /** The host's copy of a field, to be filled before `upload`. */
  words(name: Name): Uint32Array<ArrayBuffer> {
    const [shard] = this.#tensors[name].shards;
    return new Uint32Array(this.#host, shard.byteOffset, shard.byteLength / 4);
  }

  upload(): void {
    this.#gpu.write(
      { storage: this.#storage, byteOffset: 0, byteLength: this.#host.byteLength },
      new Uint8Array(this.#host),
    );
  }

  free(): void {
    this.#gpu.memory.free(this.#storage);
  }
}
