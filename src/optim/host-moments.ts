/**
 * AdamW's moments in host memory: 8 bytes a trained parameter that the GPU does not hold. Once the gradients of a step are
 * complete, the moments pass through the GPU a piece at a time: up, updated together with their weights, and down again. The
 * next pieces go up while one is updated. It is the only place where a step reads back, and costs what the bus costs.
 */
import { alignUp, type Tensor, whole } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Slice, Storage } from '../gpu/memory.ts';
import { Program, type Recorder } from '../gpu/program.ts';
import { DownloadRing, PIECE_BYTES, SLOTS, UploadRing } from '../gpu/staging.ts';
import type { Slab } from '../nn/parameters.ts';

/** Elements [start, start + length) of a slab, and where their moments are while they are updated. */
export interface SlabPart {
  readonly slab: Slab;
  readonly start: number;
  readonly length: number;
  readonly firstMoment: Slice;
  readonly secondMoment: Slice;
}

/** Pieces whose moments are on the GPU at the same time. */
const RESIDENT = 2;

/** Small models are cut, too: pieces of a sixteenth, so that moving them is worth it at every size. */
const LEAST_PIECES = 16;

export class HostMoments {
  readonly #gpu: Gpu;
  readonly #slabs: readonly Slab[];
  readonly #record: (recorder: Recorder, part: SlabPart) => void;
  readonly #pieceBytes: number;
  /** First and second moments, RESIDENT of each. */
  readonly #resident: readonly { readonly first: Storage; readonly second: Storage }[];
  #rings: { readonly up: UploadRing; readonly down: DownloadRing } | undefined;
  #pieces: { readonly part: SlabPart; readonly program: Program }[] = [];

  /** @param record - records the update of one part */
  constructor(gpu: Gpu, slabs: readonly Slab[], record: (recorder: Recorder, part: SlabPart) => void) {
    this.#gpu = gpu;
    this.#slabs = slabs;
    this.#record = record;
    const longest = Math.max(...slabs.map(({ length }) => length));
    // Twice the alignment of slices: a piece of the 16-bit copies is half as long.
    this.#pieceBytes = Math.min(PIECE_BYTES, 2 * alignUp(Math.ceil((2 * longest) / LEAST_PIECES)));
    const make = (label: string) => gpu.memory.reserve(label, this.#pieceBytes, 'optimizer');
    this.#resident = Array.from({ length: RESIDENT }, () => ({
      first: make('first moments, a piece'),
      second: make('second moments, a piece'),
    }));
  }

  /** GPU memory that `place` takes. */
  get missingBytes(): number {
    return this.#rings === undefined ? (2 * RESIDENT + 2 * SLOTS) * this.#pieceBytes : 0;
  }

  place(): void {
    if (this.#rings !== undefined) return;
    const { memory } = this.#gpu;
    for (const { first, second } of this.#resident) {
      memory.place(first, 'gpu');
      memory.place(second, 'gpu');
    }
    this.#rings = {
      up: new UploadRing(this.#gpu, this.#pieceBytes),
      down: new DownloadRing(this.#gpu, this.#pieceBytes),
    };
  }

  /** Compiles the updates. */
  async bind(): Promise<void> {
    for (const part of this.#parts()) {
      const program = await Program.build(this.#gpu, 'optimizer, a piece', (recorder) =>
        this.#record(recorder, part),
      );
      this.#pieces.push({ part, program });
    }
  }

  /** Updates everything, and returns when all moments are in host memory again. */
  async update(): Promise<void> {
    if (this.#rings === undefined) throw new RangeError('The moments have not been placed.');
    const { up, down } = this.#rings;
    for (const { part, program } of this.#pieces) {
      const { slab, firstMoment, secondMoment } = part;
      const [firstHeld, secondHeld] = [slab.firstMoment, slab.secondMoment].map((t) => heldOf(t, part));
      await up.write(firstMoment, firstHeld);
      await up.write(secondMoment, secondHeld);
      program.run();
      await down.read(firstMoment, firstHeld);
      await down.read(secondMoment, secondHeld);
    }
    await down.drain();
  }

  free(): void {
    for (const { first, second } of this.#resident) {
      this.#gpu.memory.free(first);
      this.#gpu.memory.free(second);
    }
    this.#rings?.up.free();
    this.#rings?.down.free();
    for (const { program } of this.#pieces) program.free();
    this.#pieces = [];
  }

  *#parts(): Generator<SlabPart> {
    const most = this.#pieceBytes / 4;
    let turn = 0;
    for (const slab of this.#slabs) {
      for (let start = 0; start < slab.length; start += most) {
        const length = Math.min(most, slab.length - start);
        const { first, second } = this.#resident[turn++ % RESIDENT];
        const slice = (storage: Storage): Slice => ({ storage, byteOffset: 0, byteLength: 4 * length });
        yield { slab, start, length, firstMoment: slice(first), secondMoment: slice(second) };
      }
    }
  }
}

/** The bytes of a part of a slab's moments. @throws RangeError when an earlier optimizer has put them elsewhere. */
function heldOf(moments: Tensor, { start, length }: SlabPart): Uint8Array<ArrayBuffer> {
  const { host, label } = whole(moments).storage;
  if (host === undefined) throw new RangeError(`The ${label} are not in host memory.`);
  return host.subarray(4 * start, 4 * (start + length));
}
