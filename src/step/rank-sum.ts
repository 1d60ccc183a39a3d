/**
 * Sums tensors over the ranks of a job. A piece at a time travels through mapped host memory: read back, added up by MPI
 * straight into the memory that goes up again. While one piece is added up, the next ones come down and the last ones go up.
 *
 * Gradients are summed while the backward pass that completes them still runs: it is submitted as far as the next piece needs.
 * Layers lie in slabs in the order of the forward pass, so pieces are taken from the end. MPI works on a thread of its own.
 */
import { alignUp, type Tensor, whole } from '../autograd/tensor.ts';
import { bufferOf, type Gpu } from '../gpu/device.ts';
import type { Slice, Storage } from '../gpu/memory.ts';
import type { Program } from '../gpu/program.ts';
import { PIECE_BYTES } from '../gpu/staging.ts';
import type { Ranks } from '../runtime/ranks.ts';

/** Pieces that are on their way at the same time. */
const SLOTS = 3;

/** What is smaller than these pieces together is cut into as many, so that most of it travels while the rest is computed. */
const LEAST_PIECES = 8;

/** Smaller pieces take longer to ask for than to send. */
const LEAST_BYTES = 2 ** 20;

interface Slot {
  readonly down: Storage;
  readonly up: Storage;
  /** Settled once the host may write into `up`. */
  free: Promise<void>;
}

export class RankSum {
  readonly #gpu: Gpu;
  readonly #ranks: Ranks;
  readonly #pieceBytes: number;
  /** By program, which always completes the same tensors. */
  readonly #ends = new WeakMap<Program, readonly number[]>();
  #slots: Slot[] = [];
  #turn = 0;

  /** @param largest bytes of the largest tensor that will be summed */
  constructor(gpu: Gpu, ranks: Ranks, largest: number) {
    this.#gpu = gpu;
    this.#ranks = ranks;
    const share = Math.max(LEAST_BYTES, alignUp(largest / LEAST_PIECES));
    this.#pieceBytes = Math.min(PIECE_BYTES, share, Math.max(4, largest));
  }

  /** GPU-visible memory that `place` takes. */
  get missingBytes(): number {
    return this.#slots.length > 0 ? 0 : 2 * SLOTS * this.#pieceBytes;
  }

  place(): void {
    if (this.#slots.length > 0) return;
    const { memory } = this.#gpu;
    this.#slots = Array.from({ length: SLOTS }, () => {
      const up = memory.allocateUpload('sums over ranks, up', this.#pieceBytes);
      const down = memory.allocateReadback('sums over ranks, down', this.#pieceBytes);
      return { up, down, free: watched(bufferOf(up).mapAsync(GPUMapMode.WRITE)) };
    });
  }

  /**
   * Sums f32 tensors in place, the last one first, after everything that was queued before; what is queued afterwards finds
   * the sums.
   * @param last - the program that completes the tensors, which this runs
   */
  async sum(tensors: readonly Tensor[], last?: Program): Promise<void> {
    // The order is the same on every rank, whatever its programs are.
    const pieces = tensors.flatMap((tensor) => [...this.#cut(whole(tensor))]).reverse();
    const ends = this.#endsIn(last, pieces);
    const arriving: Promise<Slot>[] = [];
    let run = 0;
    const runUntil = (end: number) => {
      if (end > run) last?.runPart(run, end);
      run = Math.max(run, end);
    };
    for (const [i, piece] of pieces.entries()) {
      while (arriving.length < pieces.length && arriving.length < i + SLOTS) {
        runUntil(ends[arriving.length]);
        arriving.push(this.#fetch(pieces[arriving.length]));
      }
      if (arriving.length === pieces.length) runUntil(last?.dispatchCount ?? 0);
      await this.#sumPiece(piece, await arriving[i]);
    }
  }

  /** How far a program must have run before each piece is complete. */
  #endsIn(program: Program | undefined, pieces: readonly Slice[]): readonly number[] {
    if (program === undefined) return pieces.map(() => 0);
    const ends = this.#ends.get(program) ?? pieces.map((piece) => program.endOfUse(piece));
    this.#ends.set(program, ends);
    return ends;
  }

  free(): void {
    for (const { up, down } of this.#slots) for (const storage of [up, down]) this.#gpu.memory.free(storage);
    this.#slots = [];
  }

  /** Queues the copy of a piece into the next slot. @returns the slot, once the piece is there */
  #fetch({ storage, byteOffset, byteLength }: Slice): Promise<Slot> {
    const slot = this.#slots[this.#turn];
    this.#turn = (this.#turn + 1) % SLOTS;
    const { device } = this.#gpu;
    const down = bufferOf(slot.down);
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(bufferOf(storage), byteOffset, down, 0, byteLength);
    device.queue.submit([encoder.finish()]);
    const both = Promise.all([down.mapAsync(GPUMapMode.READ), slot.free]);
    return watched(both.then(() => slot));
  }

  async #sumPiece({ storage, byteOffset, byteLength }: Slice, slot: Slot): Promise<void> {
    const { device } = this.#gpu;
    const [down, up] = [bufferOf(slot.down), bufferOf(slot.up)];
    const values = new Float32Array(down.getMappedRange(0, byteLength));
    await this.#ranks.allReduceSum(values, new Float32Array(up.getMappedRange(0, byteLength)));
    down.unmap();
    up.unmap();
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(up, 0, bufferOf(storage), byteOffset, byteLength);
    device.queue.submit([encoder.finish()]);
    slot.free = watched(up.mapAsync(GPUMapMode.WRITE));
  }

  *#cut({ storage, byteOffset, byteLength }: Slice): Generator<Slice> {
    for (let at = 0; at < byteLength; at += this.#pieceBytes)
      yield {
        storage,
        byteOffset: byteOffset + at,
        byteLength: Math.min(this.#pieceBytes, byteLength - at),
      };
  }
}

/** A mapping that may fail before anybody waits for it, with a lost device. */
function watched<T>(mapped: Promise<T>): Promise<T> {
  mapped.catch(() => {});
  return mapped;
}
