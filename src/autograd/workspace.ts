/**
 * The GPU memory of programs that belong together: persistent tensors, and an arena of temporaries that all of the
 * programs share. Everything is only reserved when it is made, so that what a plan would take can be asked of
 * `missingBytes`, and a plan that is dropped has cost no memory.
 */
import type { Gpu } from '../gpu/device.ts';
import type { MemoryKind, Storage } from '../gpu/memory.ts';
import { Arena } from '../gpu/planner.ts';
import { Program, type Recorder } from '../gpu/program.ts';
import { type DType, reserveTensor, type Tensor } from './tensor.ts';

export class Workspace {
  readonly gpu: Gpu;
  readonly #arena: Arena;
  readonly #storages: { readonly storage: Storage; readonly where: 'gpu' | 'readback' }[] = [];
  readonly #programs: Program[] = [];

  constructor(gpu: Gpu) {
    this.gpu = gpu;
    this.#arena = new Arena(gpu.memory);
  }

  /** A tensor, filled with zeros once it is allocated, that lives as long as the workspace. */
  tensor(label: string, shape: readonly number[], dtype: DType, kind: MemoryKind): Tensor {
    const tensor = reserveTensor(this.gpu, label, shape, dtype, kind);
    for (const { storage } of tensor.shards) this.#storages.push({ storage, where: 'gpu' });
    return tensor;
  }

  storage(label: string, byteLength: number, kind: MemoryKind): Storage {
    const storage = this.gpu.memory.reserve(label, byteLength, kind);
    this.#storages.push({ storage, where: 'gpu' });
    return storage;
  }

  /** A storage that the host maps to read, and kernels cannot bind. */
  readback(label: string, byteLength: number): Storage {
    const storage = this.gpu.memory.reserve(label, byteLength, 'staging');
    this.#storages.push({ storage, where: 'readback' });
    return storage;
  }

  /** Records a program, whose temporaries come from the arena. */
  program(label: string, record: (recorder: Recorder) => void): Program {
    const program = new Program(this.gpu, this.#arena, label, record);
    this.#programs.push(program);
    return program;
  }

  /** Bytes that `allocate` and `bind` will add to what is held already. */
  get missingBytes(): number {
    const missing = this.#storages.filter(({ storage }) => storage.buffer === undefined);
    return missing.reduce((sum, { storage }) => sum + storage.byteLength, this.#arena.missingBytes);
  }

  /** Gives the persistent tensors their memory. */
  allocate(): void {
    for (const { storage, where } of this.#storages)
      if (storage.buffer === undefined) this.gpu.memory.place(storage, where);
  }

  /** Compiles every program, all at once, and allocates nothing. */
  async compile(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.compile()));
  }

  /** Allocates what is missing, the arena too, and compiles every program. Nothing is made after this. */
  async bind(): Promise<void> {
    this.allocate();
    this.#arena.allocate();
    await Promise.all(this.#programs.map((program) => program.bind()));
  }

  free(): void {
    for (const { storage } of this.#storages) this.gpu.memory.free(storage);
    this.#arena.free();
  }
}
