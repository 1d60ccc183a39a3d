/**
 * Gives every rank the slices of weights that the others updated. Like sums (rank-sum.ts) they travel a piece of every slice at a
 * time through mapped host memory: read back, gathered by MPI straight into the memory that goes up again.
 */
import { bytesPerElement, elementCount, type Tensor, whole } from '../autograd/tensor.ts';
import { bufferOf, type Gpu } from '../gpu/device.ts';
import { BINDING_ALIGNMENT, type Storage } from '../gpu/memory.ts';
import { PIECE_BYTES } from '../gpu/staging.ts';
import { shareLength } from '../nn/shares.ts';
import type { Ranks } from '../runtime/ranks.ts';

/** Pieces that are on their way at the same time. */
const SLOTS = 3;

interface Slot {
  /** A piece of this rank's slice. */
  readonly down: Storage;
  /** The same piece of every slice. */
  readonly up: Storage;
  /** Settled once the host may write into `up`. */
  free: Promise<void>;
}

/** Bytes [at, at + bytes) of every slice of a tensor; the last slices may be shorter. */
interface Piece {
  readonly tensor: Tensor;
  readonly sliceBytes: number;
  readonly at: number;
  readonly bytes: number;
}

export class RankGather {
  readonly #gpu: Gpu;
  readonly #ranks: Ranks;
  readonly #pieceBytes: number;
  #slots: Slot[] = [];
  #turn = 0;

  /** @param largest bytes of the largest slice that will be gathered */
  constructor(gpu: Gpu, ranks: Ranks, largest: number) {
    this.#gpu = gpu;
    this.#ranks = ranks;
    const most = BINDING_ALIGNMENT * Math.floor(PIECE_BYTES / ranks.size / BINDING_ALIGNMENT);
    this.#pieceBytes = Math.min(most, largest);
  }

  /** GPU-visible memory that `place` takes. */
  get missingBytes(): number {
    return this.#slots.length > 0 ? 0 : SLOTS * (1 + this.#ranks.size) * this.#pieceBytes;
  }

  place(): void {
    if (this.#slots.length > 0) return;
    const { memory } = this.#gpu;
    this.#slots = Array.from({ length: SLOTS }, () => {
      const up = memory.allocateUpload('weights of all ranks, up', this.#ranks.size * this.#pieceBytes);
      const down = memory.allocateReadback('weights of this rank, down', this.#pieceBytes);
      return { up, down, free: watched(bufferOf(up).mapAsync(GPUMapMode.WRITE)) };
    });
  }

  /** Gathers tensors of one slab each, whose slices are as nn/shares.ts cuts them. What is queued afterwards finds all of them. */
  async gather(tensors: readonly Tensor[]): Promise<void> {
    const pieces = tensors.flatMap((tensor) => [...this.#cut(tensor)]);
    const arriving: Promise<Slot>[] = [];
    for (const [i, piece] of pieces.entries()) {
      while (arriving.length < pieces.length && arriving.length < i + SLOTS)
        arriving.push(this.#fetch(pieces[arriving.length]));
      await this.#gatherPiece(piece, await arriving[i]);
    }
  }

  free(): void {
    for (const { up, down } of this.#slots) for (const storage of [up, down]) this.#gpu.memory.free(storage);
    this.#slots = [];
  }

  /** Queues the copy of this rank's piece into the next slot. @returns the slot, once the piece is there */
  #fetch(piece: Piece): Promise<Slot> {
    const slot = this.#slots[this.#turn];
    this.#turn = (this.#turn + 1) % SLOTS;
    const { device } = this.#gpu;
    const down = bufferOf(slot.down);
    const { offset, bytes } = this.#placeOf(piece, this.#ranks.rank);
    const encoder = device.createCommandEncoder();
    if (bytes > 0) encoder.copyBufferToBuffer(bufferOf(whole(piece.tensor).storage), offset, down, 0, bytes);
    device.queue.submit([encoder.finish()]);
    return watched(Promise.all([down.mapAsync(GPUMapMode.READ), slot.free]).then(() => slot));
  }

  async #gatherPiece(piece: Piece, slot: Slot): Promise<void> {
    const { device } = this.#gpu;
    const { size } = this.#ranks;
    const [down, up] = [bufferOf(slot.down), bufferOf(slot.up)];
    const all = new Uint8Array(up.getMappedRange(0, size * piece.bytes));
    await this.#ranks.allGatherInto(new Uint8Array(down.getMappedRange(0, piece.bytes)), all);
    down.unmap();
    up.unmap();
    const encoder = device.createCommandEncoder();
    const target = bufferOf(whole(piece.tensor).storage);
    for (let rank = 0; rank < size; rank++) {
      const { offset, bytes } = this.#placeOf(piece, rank);
      if (bytes > 0) encoder.copyBufferToBuffer(up, rank * piece.bytes, target, offset, bytes);
    }
    device.queue.submit([encoder.finish()]);
    slot.free = watched(up.mapAsync(GPUMapMode.WRITE));
  }

  /** Where a rank's part of a piece lies in the tensor. */
  #placeOf({ tensor, sliceBytes, at, bytes }: Piece, rank: number): { offset: number; bytes: number } {
    const { byteOffset, byteLength } = whole(tensor);
    const start = rank * sliceBytes + at;
    return { offset: byteOffset + start, bytes: Math.max(0, Math.min(bytes, byteLength - start)) };
  }

  *#cut(tensor: Tensor): Generator<Piece> {
    const bytes = sliceBytes(tensor, this.#ranks.size);
    for (let at = 0; at < bytes; at += this.#pieceBytes)
      yield { tensor, sliceBytes: bytes, at, bytes: Math.min(this.#pieceBytes, bytes - at) };
  }
}

/** Bytes of every slice of a tensor but the last ones. */
export function sliceBytes({ shape, dtype }: Tensor, ranks: number): number {
  return shareLength(elementCount(shape), ranks) * bytesPerElement(dtype);
}

/** A mapping that may fail before anybody waits for it, with a lost device. */
function watched<T>(mapped: Promise<T>): Promise<T> {
  mapped.catch(() => {});
  return mapped;
}
