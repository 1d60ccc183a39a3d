/**
 * Rings of buffers that both the host and the GPU can reach. What is large travels through one a piece at a time: host memory
 * stays bounded, and copies overlap with what the GPU does. (`writeBuffer` would keep a copy of everything that is queued.)
 */
import { bufferOf, type Gpu } from './device.ts';
import type { Slice, Storage } from './memory.ts';

/** Most bytes of a piece. */
export const PIECE_BYTES = 16 * 2 ** 20;

/** Pieces that are on their way at the same time. */
export const SLOTS = 4;

interface Slot {
  readonly storage: Storage;
  /** Settled once the host may have the buffer again. */
  free: Promise<void>;
}

/** From host to GPU. */
export class UploadRing {
  readonly #gpu: Gpu;
  readonly #slots: readonly Slot[];
  readonly #pieceBytes: number;
  #turn = 0;

  /** Allocates SLOTS pieces of `pieceBytes`, a multiple of 8. */
  constructor(gpu: Gpu, pieceBytes: number) {
    this.#gpu = gpu;
    this.#pieceBytes = pieceBytes;
    this.#slots = Array.from({ length: SLOTS }, () => {
      const storage = gpu.memory.allocateUpload('upload ring', pieceBytes);
      return { storage, free: watched(bufferOf(storage).mapAsync(GPUMapMode.WRITE)) };
    });
  }

  /**
   * Copies `data`, a multiple of 4 bytes, to `byteOffset` of `slice`. Returns when it has been taken over, not when it has
   * arrived; what is queued afterwards finds it there.
   */
  async write(slice: Slice, data: ArrayBufferView<ArrayBuffer>, byteOffset = 0): Promise<void> {
    const { device } = this.#gpu;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (slice.storage.host !== undefined) return this.#gpu.write(slice, bytes, byteOffset);
    for (let at = 0; at < bytes.length; at += this.#pieceBytes) {
      const piece = bytes.subarray(at, at + this.#pieceBytes);
      const slot = this.#slots[this.#turn];
      this.#turn = (this.#turn + 1) % SLOTS;
      await settled(this.#gpu, slot);
      const staging = bufferOf(slot.storage);
      new Uint8Array(staging.getMappedRange(0, piece.length)).set(piece);
      staging.unmap();
      const encoder = device.createCommandEncoder();
      const target = slice.byteOffset + byteOffset + at;
      encoder.copyBufferToBuffer(staging, 0, bufferOf(slice.storage), target, piece.length);
      device.queue.submit([encoder.finish()]);
      slot.free = watched(staging.mapAsync(GPUMapMode.WRITE));
    }
  }

  free(): void {
    for (const { storage } of this.#slots) this.#gpu.memory.free(storage);
  }
}

/** From GPU to host. */
export class DownloadRing {
  readonly #gpu: Gpu;
  readonly #slots: readonly Slot[];
  #turn = 0;

  /** Allocates SLOTS pieces of `pieceBytes`. */
  constructor(gpu: Gpu, pieceBytes: number) {
    this.#gpu = gpu;
    this.#slots = Array.from({ length: SLOTS }, () => ({
      storage: gpu.memory.allocateReadback('download ring', pieceBytes),
      free: Promise.resolve(),
    }));
  }

  /** Queues a copy of `slice`, at most a piece, into `target`, which has it once `drain` has returned. */
  async read(slice: Slice, target: Uint8Array<ArrayBuffer>): Promise<void> {
    const { device } = this.#gpu;
    const slot = this.#slots[this.#turn];
    this.#turn = (this.#turn + 1) % SLOTS;
    await settled(this.#gpu, slot);
    const staging = bufferOf(slot.storage);
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(
      bufferOf(slice.storage),
      slice.byteOffset,
      staging,
      0,
      Math.ceil(target.length / 4) * 4,
    );
    device.queue.submit([encoder.finish()]);
    slot.free = watched(
      staging.mapAsync(GPUMapMode.READ).then(() => {
        target.set(new Uint8Array(staging.getMappedRange(), 0, target.length));
        staging.unmap();
      }),
    );
  }

  /** Waits for everything that was asked for. */
  async drain(): Promise<void> {
    for (const slot of this.#slots) await settled(this.#gpu, slot);
  }

  free(): void {
    for (const { storage } of this.#slots) this.#gpu.memory.free(storage);
  }
}

/** A mapping that may fail before anybody waits for it: with a lost device, or a ring that was freed. */
function watched(mapped: Promise<void>): Promise<void> {
  mapped.catch(() => {});
  return mapped;
}

async function settled(gpu: Gpu, slot: Slot): Promise<void> {
  await slot.free.catch((error: unknown) => {
    gpu.throwIfFailed();
    throw error;
  });
}
