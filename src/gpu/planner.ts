/**
 * Lends buffers to the temporaries of a program.
 *
 * WebGPU forbids one dispatch to read one part of a buffer and write another, so temporaries cannot be ranges of one
 * big buffer. They share a set of whole buffers instead ("slots"), like variables share registers: a temporary holds a
 * slot from the first dispatch that touches it to the last. Programs of different shape buckets never run at the same
 * time, so all of them draw from the same slots: memory is that of the largest, not the sum.
 */
import type { MemoryPool, Storage } from './memory.ts';

/** When a temporary is alive: dispatch numbers, both inclusive. */
export interface Lifetime {
  readonly storage: Storage;
  first: number;
  last: number;
}

/** A shared set of buffers. Its slots only grow; growing replaces the buffer, so plan before binding. */
export class Arena {
  readonly #memory: MemoryPool;
  readonly #sizes: number[] = [];
  #buffers: Storage[] = [];

  constructor(memory: MemoryPool) {
    this.#memory = memory;
  }

  /** Bytes that `allocate` will add to what is held already. */
  get missingBytes(): number {
    const held = this.#buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
    return this.#sizes.reduce((sum, size) => sum + size, 0) - held;
  }

  /**
   * Assigns a slot to every temporary: the smallest free one that is large enough, else the largest free one, grown.
   * @returns the slot of each lifetime, in the order given.
   */
  plan(lifetimes: readonly Lifetime[]): number[] {
    const order = lifetimes
      .map((_, i) => i)
      .sort(
        (a, b) =>
          lifetimes[a].first - lifetimes[b].first ||
          lifetimes[b].storage.byteLength - lifetimes[a].storage.byteLength,
      );
    const freeAfter: number[] = this.#sizes.map(() => -1);
    const slots = new Array<number>(lifetimes.length);
    for (const i of order) {
      const { storage, first, last } = lifetimes[i];
      let best = -1;
      for (let s = 0; s < freeAfter.length; s++) {
        if (freeAfter[s] >= first) continue;
        if (best === -1 || fitsBetter(this.#sizes[s], this.#sizes[best], storage.byteLength)) best = s;
      }
      if (best === -1) {
        best = this.#sizes.length;
        this.#sizes.push(0);
        freeAfter.push(-1);
      }
      this.#sizes[best] = Math.max(this.#sizes[best], storage.byteLength);
      freeAfter[best] = last;
      slots[i] = best;
    }
    return slots;
  }

  /** Makes the buffers that the plans so far need. Called once after the last `plan`. */
  allocate(): void {
    this.#buffers = this.#sizes.map((size, s) => {
      const existing = this.#buffers[s];
      if (existing !== undefined && existing.byteLength >= size) return existing;
      if (existing !== undefined) this.#memory.free(existing);
      return this.#memory.allocate(`arena slot ${s}`, size, 'activations');
    });
  }

  /**
   * The buffer of a slot, after `allocate`.
   * @internal
   */
  buffer(slot: number): GPUBuffer {
    const buffer = this.#buffers[slot]?.buffer;
    if (buffer === undefined)
      throw new RangeError(`Arena slot ${slot} has no buffer: allocate() was not called after plan().`);
    return buffer;
  }

  free(): void {
    for (const storage of this.#buffers) this.#memory.free(storage);
    this.#buffers = [];
    this.#sizes.length = 0;
  }
}

/** Is a slot of size `a` a better home for `need` bytes than one of size `b`? */
function fitsBetter(a: number, b: number, need: number): boolean {
  if (a >= need && b >= need) return a < b;
  return a > b;
}
