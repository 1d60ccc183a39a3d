/**
 * GPU memory with exact accounting. Every buffer of the program is made here, so that `current`, `peak` and the split by
 * kind are sums of what was really created, not estimates.
 *
 * Ownership: whoever allocates a `Storage` frees it. Temporary storages of a `Program` are the exception: they have no
 * buffer of their own until the planner lends them one (see planner.ts).
 */
import { InputError } from '../errors.ts';

/** What a buffer is for, in the memory report. */
export type MemoryKind =
  | 'weights'
  | 'gradients'
  | 'optimizer'
  | 'activations'
  | 'batch'
  | 'reference'
  | 'state'
  | 'cache'
  | 'staging';

/** A run of memory; without `buffer` and `host` where it has no place yet. */
export interface Storage {
  readonly label: string;
  readonly byteLength: number;
  readonly kind: MemoryKind;
  /** @internal */
  buffer: GPUBuffer | undefined;
  /** Its bytes, when they are kept in host memory instead. */
  host?: Uint8Array<ArrayBuffer>;
}

/** A part of a storage as bound to a kernel. Offsets are multiples of 256 bytes. */
export interface Slice {
  readonly storage: Storage;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** WebGPU's strictest default for the offset of a storage binding; every slice starts on a multiple of it. */
export const BINDING_ALIGNMENT = 256;

const STORAGE_USAGE = 0x0080 | 0x0004 | 0x0008; // STORAGE | COPY_SRC | COPY_DST
const READBACK_USAGE = 0x0001 | 0x0008; // MAP_READ | COPY_DST
const UPLOAD_USAGE = 0x0002 | 0x0004; // MAP_WRITE | COPY_SRC

export class MemoryPool {
  readonly #device: GPUDevice;
  readonly #byKind = new Map<MemoryKind, number>();
  readonly #placed = new Set<Storage>();
  #current = 0;
  #peak = 0;

  /** @internal */
  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Bytes held now. */
  get current(): number {
    return this.#current;
  }

  /** The most bytes ever held at once since the pool was made or `resetPeak`. */
  get peak(): number {
    return this.#peak;
  }

  /** Bytes held now, by what they are for. */
  get byKind(): ReadonlyMap<MemoryKind, number> {
    return this.#byKind;
  }

  resetPeak(): void {
    this.#peak = this.#current;
  }

  /**
   * Makes a zero-filled storage of at least 4 bytes, rounded up to a multiple of 4.
   * @throws InputError when the adapter cannot make a buffer that large; names the tensor and the limit.
   */
  allocate(label: string, byteLength: number, kind: MemoryKind): Storage {
    const storage = this.reserve(label, byteLength, kind);
    this.place(storage, 'gpu');
    return storage;
  }

  /** A storage that gets its memory later, from `place`. */
  reserve(label: string, byteLength: number, kind: MemoryKind): Storage {
    return { label, byteLength: Math.max(4, Math.ceil(byteLength / 4) * 4), kind, buffer: undefined };
  }

  /**
   * Gives a reserved storage its memory, filled with zeros: where kernels bind it, where the host can map it to read, or
   * on the host, where it counts for nothing here. @throws as `allocate`
   */
  place(storage: Storage, where: 'gpu' | 'readback' | 'host'): void {
    if (where === 'host') storage.host = new Uint8Array(storage.byteLength);
    else this.#create(storage, where === 'gpu' ? STORAGE_USAGE : READBACK_USAGE);
  }

  /** Makes a buffer that the host can map to read; kernels cannot bind it. */
  allocateReadback(label: string, byteLength: number): Storage {
    const storage = this.reserve(label, byteLength, 'staging');
    this.#create(storage, READBACK_USAGE);
    return storage;
  }

  /** Makes a buffer that the host can map to write; kernels cannot bind it. */
  allocateUpload(label: string, byteLength: number): Storage {
    const storage = this.reserve(label, byteLength, 'staging');
    this.#create(storage, UPLOAD_USAGE);
    return storage;
  }

  #create(storage: Storage, usage: number): void {
    const { label, byteLength: bytes, kind } = storage;
    const limit = this.#device.limits.maxBufferSize;
    if (bytes > limit) {
      throw new InputError(
        `${label} needs a buffer of ${formatBytes(bytes)}, but this adapter allows ${formatBytes(limit)} per buffer. ` +
          'Use a smaller model, a smaller token budget (training.max_tokens_per_micro_batch) or a 16-bit dtype.',
      );
    }
    storage.buffer = this.#device.createBuffer({ label, size: bytes, usage });
    this.#placed.add(storage);
    this.#current += bytes;
    this.#peak = Math.max(this.#peak, this.#current);
    this.#byKind.set(kind, (this.#byKind.get(kind) ?? 0) + bytes);
  }

  /** Gives a storage back. Freeing twice is harmless. */
  free(storage: Storage): void {
    storage.host = undefined;
    if (storage.buffer === undefined) return;
    storage.buffer.destroy();
    storage.buffer = undefined;
    this.#placed.delete(storage);
    this.#current -= storage.byteLength;
    this.#byKind.set(storage.kind, (this.#byKind.get(storage.kind) ?? 0) - storage.byteLength);
  }

  /** Gives back everything that is still held on the device. */
  freeAll(): void {
    for (const storage of this.#placed) this.free(storage);
  }
}

/** '1.25 GiB', '640 KiB': sizes as people read them. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${units[unit]}`;
}
