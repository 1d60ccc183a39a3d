/**
 * An optimizer's moments in host memory: bytes that the GPU does not hold. Once the gradients of a step are complete, the
 * moments pass through the GPU a piece at a time: up, updated together with their weights, and down again. The next
 * pieces go up while one is updated. It is the only place where a step reads back, and costs what the bus costs.
 */
import { alignUp, type Tensor, whole } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Storage } from '../gpu/memory.ts';
import { Program, type Recorder } from '../gpu/program.ts';
import { DownloadRing, PIECE_BYTES, SLOTS, UploadRing } from '../gpu/staging.ts';
import type { Slab } from '../nn/parameters.ts';
import type { SlabRange } from './update-rule.ts';

/** A slab and its moments, f32 [elements that are updated here] each. */
export interface SlabMoments {
  readonly slab: Slab;
  readonly moments: readonly Tensor[];
}

/** A range of a slab and the bytes of its moments on the host. */
interface Piece {
  readonly range: SlabRange;
  readonly held: readonly Tensor[];
}

/** Pieces whose moments are on the GPU at the same time. */
const RESIDENT = 2;

/** Small models are cut, too: pieces of a sixteenth, so that moving them is worth it at every size. */
const LEAST_PIECES = 16;

export class HostMoments {
  readonly #gpu: Gpu;
  readonly #slabs: readonly SlabMoments[];
  readonly #record: (recorder: Recorder, range: SlabRange) => void;
  readonly #pieceBytes: number;
  /** RESIDENT pieces of every moment. */
  readonly #resident: readonly (readonly Storage[])[];
  #rings: { readonly up: UploadRing; readonly down: DownloadRing } | undefined;
  #pieces: (Piece & { readonly program: Program })[] = [];

  /**
   * @param slabs with moments that are in host memory, at least one each, when `update` is called
   * @param record - records the update of one range
   */
  constructor(
    gpu: Gpu,
    slabs: readonly SlabMoments[],
    record: (recorder: Recorder, range: SlabRange) => void,
  ) {
    this.#gpu = gpu;
    this.#slabs = slabs;
    this.#record = record;
    const longest = Math.max(4, ...slabs.map(({ slab }) => slab.share.length));
    // Twice the alignment of slices: a piece of the 16-bit copies is half as long.
    this.#pieceBytes = Math.min(PIECE_BYTES, 2 * alignUp(Math.ceil((2 * longest) / LEAST_PIECES)));
    this.#resident = Array.from({ length: RESIDENT }, () =>
      slabs[0].moments.map(({ label }) =>
        gpu.memory.reserve(`${label}, a piece`, this.#pieceBytes, 'optimizer'),
      ),
    );
  }

  /** GPU memory that is held once `place` was called. */
  get placedBytes(): number {
    return (this.#resident.flat().length + 2 * SLOTS) * this.#pieceBytes;
  }

  place(): void {
    for (const storage of this.#resident.flat()) this.#gpu.memory.place(storage, 'gpu');
    this.#rings = {
      up: new UploadRing(this.#gpu, this.#pieceBytes),
      down: new DownloadRing(this.#gpu, this.#pieceBytes),
    };
  }

  /** Compiles the updates. */
  async bind(): Promise<void> {
    for (const piece of this.#cut()) {
      const program = await Program.build(this.#gpu, 'optimizer, a piece', (recorder) =>
        this.#record(recorder, piece.range),
      );
      this.#pieces.push({ ...piece, program });
    }
  }

  /** Updates everything, and returns when all moments are in host memory again. */
  async update(): Promise<void> {
    if (this.#rings === undefined) throw new RangeError('The moments have not been placed.');
    const { up, down } = this.#rings;
    for (const { range, held, program } of this.#pieces) {
      const bytes = held.map((moment) => heldBytes(moment, range));
      for (const [i, slice] of range.moments.entries()) await up.write(slice, bytes[i]);
      program.run();
      for (const [i, slice] of range.moments.entries()) await down.read(slice, bytes[i]);
    }
    await down.drain();
  }

  free(): void {
    for (const storage of this.#resident.flat()) this.#gpu.memory.free(storage);
    this.#rings?.up.free();
    this.#rings?.down.free();
    for (const { program } of this.#pieces) program.free();
    this.#pieces = [];
  }

  *#cut(): Generator<Piece> {
    const most = this.#pieceBytes / 4;
    let turn = 0;
    for (const { slab, moments } of this.#slabs) {
      const end = slab.share.start + slab.share.length;
      for (let start = slab.share.start; start < end; start += most) {
        const length = Math.min(most, end - start);
        const slices = this.#resident[turn++ % RESIDENT].map((storage) => ({
          storage,
          byteOffset: 0,
          byteLength: 4 * length,
        }));
        yield { range: { slab, start, length, moments: slices }, held: moments };
      }
    }
  }
}

/** The bytes of a range of a slab's moments. */
function heldBytes(moments: Tensor, { slab, start, length }: SlabRange): Uint8Array<ArrayBuffer> {
  const { host, label } = whole(moments).storage;
  if (host === undefined) throw new RangeError(`The ${label} are not in host memory.`);
  const first = start - slab.share.start;
  return host.subarray(4 * first, 4 * (first + length));
}
