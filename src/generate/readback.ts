/** Small results that come back while the GPU goes on: each has a mappable buffer of its own until it has been read. */
import { bufferOf, type Gpu } from '../gpu/device.ts';
import type { Slice, Storage } from '../gpu/memory.ts';

export class Readback {
  readonly #gpu: Gpu;
  readonly #idle: Storage[] = [];
  #freed = false;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** Queues a copy of `slice` behind what was submitted so far. @returns its words, when they have arrived */
  async read(slice: Slice): Promise<Uint32Array<ArrayBuffer>> {
    const staging = this.#take(slice.byteLength);
    const buffer = bufferOf(staging);
    const encoder = this.#gpu.device.createCommandEncoder();
    encoder.copyBufferToBuffer(bufferOf(slice.storage), slice.byteOffset, buffer, 0, slice.byteLength);
    this.#gpu.device.queue.submit([encoder.finish()]);
    try {
      await buffer.mapAsync(GPUMapMode.READ, 0, slice.byteLength);
    } catch (error) {
      this.#gpu.throwIfFailed();
      throw error;
    }
    const words = new Uint32Array(buffer.getMappedRange(0, slice.byteLength).slice(0));
    buffer.unmap();
    if (this.#freed) this.#gpu.memory.free(staging);
    else this.#idle.push(staging);
    return words;
  }

  free(): void {
    this.#freed = true;
    for (const storage of this.#idle.splice(0)) this.#gpu.memory.free(storage);
  }

  /** An idle buffer that is large enough; smaller ones make way for a new one. */
  #take(byteLength: number): Storage {
    const found = this.#idle.findIndex((storage) => storage.byteLength >= byteLength);
    if (found >= 0) return this.#idle.splice(found, 1)[0];
    const small = this.#idle.pop();
    if (small !== undefined) this.#gpu.memory.free(small);
    return this.#gpu.memory.allocateReadback('drawn tokens', byteLength);
  }
}
