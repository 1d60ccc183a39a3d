/**
 * A program is a fixed list of dispatches: recorded once, planned once, run many times.
 *
 * Recording touches no GPU. Building compiles the pipelines, gives every temporary a buffer for exactly the dispatches
 * between its first and last use, and makes the bind groups. Running only encodes: no buffer, bind group or pipeline
 * is made, and nothing is read back.
 */
import { InputError } from '../errors.ts';
import type { Gpu } from './device.ts';
import { bufferOf } from './device.ts';
import type { KernelVariant } from './kernels.ts';
import { type Launch, orderedBindings } from './launch.ts';
import { BINDING_ALIGNMENT, formatBytes, type Slice, type Storage } from './memory.ts';
import { Arena, type Lifetime } from './planner.ts';

export interface Dispatch extends KernelVariant {
  /** What the user sees in profiles: usually the op's name. */
  readonly label: string;
  /** Bindings 0, 1, 2, ... of group 0; undefined where a variant of the kernel does not use the number. */
  readonly bindings: readonly (Slice | undefined)[];
  /** Workgroups in x and y; more than 65535 in x are folded into y by `gridOf`. */
  readonly grid: readonly [number, number];
  /** Times that the grid is repeated; kernels know the repetition by z. Default 1. */
  readonly repeats?: number;
  /** Floating-point operations, where they and not memory decide; for rooflines. */
  readonly flops?: number;
}

/** What of a training step a dispatch belongs to, in profiles. */
export type Part = 'forward' | 'backward' | 'reference' | 'objective' | 'optimizer';

/**
 * Forward and backward of one transformer block take about this many. Browsers and drivers kill what runs for seconds
 * on end, so the work between two submits stays near that of a block.
 */
const DISPATCHES_PER_SUBMIT = 64;

/** WebGPU's limit on workgroups per dimension. */
const MAX_GRID = 65535;

/** Folds a count of workgroups into two dimensions. Kernels undo it with `workgroup_index` of grid.wgsl. */
export function gridOf(workgroups: number): readonly [number, number] {
  if (workgroups <= MAX_GRID) return [Math.max(1, workgroups), 1];
  const y = Math.ceil(workgroups / MAX_GRID);
  return [Math.ceil(workgroups / y), y];
}

/** Records dispatches and makes the temporaries they use. */
export class Recorder {
  readonly gpu: Gpu;
  readonly dispatches: Dispatch[] = [];
  /** Of every dispatch. */
  readonly parts: Part[] = [];
  #part: Part = 'forward';
  #hasFewRows = false;
  readonly #temporaries = new Map<Storage, Lifetime>();
  readonly #kept = new Set<Storage>();
  readonly #awaited = new Map<Storage, () => void>();

  constructor(gpu: Gpu) {
    this.gpu = gpu;
  }

  /** A temporary: contents undefined until a dispatch writes it, gone after the last dispatch that uses it. */
  temporary(label: string, byteLength: number): Storage {
    const bytes = Math.max(4, Math.ceil(byteLength / 4) * 4);
    if (bytes > this.gpu.maxBindingBytes) {
      throw new InputError(
        `${label} takes ${formatBytes(bytes)}, more than the ${formatBytes(this.gpu.maxBindingBytes)} that one binding of this ` +
          'adapter holds. Lower training.max_tokens_per_micro_batch (or max_length).',
      );
    }
    const storage: Storage = { label, byteLength: bytes, kind: 'activations', buffer: undefined };
    this.#temporaries.set(storage, { storage, first: -1, last: -1 });
    return storage;
  }

  /** Records one launch of a kernel of ours. */
  launch(launch: Launch): void {
    const { kernel, label = kernel, conditions, constants, overrides, grid, repeats, flops } = launch;
    const bindings = orderedBindings(launch);
    this.dispatch({ kernel, label, conditions, constants, overrides, bindings, grid, repeats, flops });
  }

  /** Calls `record`, which writes `result`, when a dispatch first binds it: never, where others do its work themselves. */
  whenBound(result: Storage, record: () => void): void {
    this.#awaited.set(result, record);
  }

  /** Records a dispatch of any kernel, by the numbers of its bindings: for kernels that are not in kernels/. */
  dispatch(dispatch: Dispatch): void {
    for (const slice of dispatch.bindings) if (slice !== undefined) this.#recordAwaited(slice.storage);
    const index = this.dispatches.length;
    for (const slice of dispatch.bindings) {
      if (slice === undefined) continue;
      const { storage, byteOffset } = slice;
      if (byteOffset % BINDING_ALIGNMENT !== 0) {
        throw new RangeError(
          `${dispatch.label}: a slice of ${storage.label} starts at byte ${byteOffset}, not on a multiple of ${BINDING_ALIGNMENT}.`,
        );
      }
      const lifetime = this.#temporaries.get(storage);
      if (lifetime === undefined) continue;
      if (lifetime.first === -1) lifetime.first = index;
      lifetime.last = index;
    }
    this.dispatches.push(dispatch);
    this.parts.push(this.#part);
  }

  #recordAwaited(storage: Storage): void {
    const record = this.#awaited.get(storage);
    this.#awaited.delete(storage);
    record?.();
  }

  /** Counts what `record` dispatches as `part`, unless it is inside of another part already. */
  asPart<T>(part: Part, record: () => T): T {
    if (this.#part !== 'forward') return record();
    this.#part = part;
    try {
      return record();
    } finally {
      this.#part = 'forward';
    }
  }

  /** Whether what is being recorded has few rows, whose number must not change the bits of any: decoding. */
  get hasFewRows(): boolean {
    return this.#hasFewRows;
  }

  /** Records products of a decoding step, in which every sequence is one row. */
  withFewRows<T>(record: () => T): T {
    const before = this.#hasFewRows;
    this.#hasFewRows = true;
    try {
      return record();
    } finally {
      this.#hasFewRows = before;
    }
  }

  /** Keeps a temporary readable after the program has run (until another program of the same arena runs). */
  keep(storage: Storage): void {
    this.#kept.add(storage);
  }

  /** Lifetimes of all temporaries that some dispatch uses. */
  lifetimes(): Lifetime[] {
    const end = this.dispatches.length;
    return [...this.#temporaries.values()]
      .filter((l) => l.first !== -1)
      .map((l) => (this.#kept.has(l.storage) ? { ...l, last: end } : l));
  }
}

interface Command {
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly label: string;
  readonly part: Part;
}

/** GPU time of all dispatches of one label that belong to one part. */
export interface Profiled {
  readonly label: string;
  readonly part: Part;
  readonly nanoseconds: number;
}

export class Program {
  readonly label: string;
  readonly #gpu: Gpu;
  readonly #recorder: Recorder;
  readonly #arena: Arena;
  readonly #slots: Map<Storage, number>;
  #commands: Command[] = [];

  /** Records and plans; `bind` must follow once every program of the arena is planned and the arena is allocated. */
  constructor(gpu: Gpu, arena: Arena, label: string, record: (recorder: Recorder) => void) {
    this.label = label;
    this.#gpu = gpu;
    this.#arena = arena;
    this.#recorder = new Recorder(gpu);
    record(this.#recorder);
    const lifetimes = this.#recorder.lifetimes();
    const slots = arena.plan(lifetimes);
    this.#slots = new Map(lifetimes.map((l, i) => [l.storage, slots[i]]));
  }

  /** Records, plans, allocates and binds a program that has its arena for itself. */
  static async build(gpu: Gpu, label: string, record: (recorder: Recorder) => void): Promise<Program> {
    const arena = new Arena(gpu.memory);
    const program = new Program(gpu, arena, label, record);
    arena.allocate();
    await program.bind();
    return program;
  }

  get dispatchCount(): number {
    return this.#recorder.dispatches.length;
  }

  /** Compiles the pipelines, which needs no memory. */
  async compile(): Promise<void> {
    await Promise.all(this.#recorder.dispatches.map((d) => this.#gpu.kernels.pipeline(d)));
  }

  /** Compiles the pipelines that are missing and makes the bind groups. */
  async bind(): Promise<void> {
    for (const [storage, slot] of this.#slots) storage.buffer = this.#arena.buffer(slot);
    this.#commands = await Promise.all(
      this.#recorder.dispatches.map(async (d, i): Promise<Command> => {
        const pipeline = await this.#gpu.kernels.pipeline(d);
        const entries = d.bindings.flatMap((slice, binding) =>
          slice === undefined ? [] : [{ binding, resource: bufferBinding(slice) }],
        );
        const bindGroup = this.#gpu.device.createBindGroup({
          label: d.label,
          layout: pipeline.getBindGroupLayout(0),
          entries,
        });
        return {
          pipeline,
          bindGroup,
          x: d.grid[0],
          y: d.grid[1],
          z: d.repeats ?? 1,
          label: d.label,
          part: this.#recorder.parts[i],
        };
      }),
    );
  }

  /** Encodes all dispatches and submits them, a part at a time. */
  run(): void {
    this.runPart(0, this.#commands.length);
  }

  /** Submits the dispatches from `first` up to `end`. Whoever runs a program in parts runs all of them, in order. */
  runPart(first: number, end: number): void {
    const { device } = this.#gpu;
    for (let at = first; at < end; at += DISPATCHES_PER_SUBMIT) {
      const encoder = device.createCommandEncoder({ label: this.label });
      const pass = encoder.beginComputePass({ label: this.label });
      for (let i = at; i < Math.min(at + DISPATCHES_PER_SUBMIT, end); i++) encode(pass, this.#commands[i]);
      pass.end();
      device.queue.submit([encoder.finish()]);
    }
  }

  /** After so many dispatches none touches these bytes any more. */
  endOfUse({ storage, byteOffset, byteLength }: Slice): number {
    const touches = (slice: Slice | undefined) =>
      slice !== undefined &&
      slice.storage === storage &&
      slice.byteOffset < byteOffset + byteLength &&
      byteOffset < slice.byteOffset + slice.byteLength;
    return 1 + this.#recorder.dispatches.findLastIndex(({ bindings }) => bindings.some(touches));
  }

  /**
   * Runs every dispatch in a pass of its own between two timestamps.
   * Needs the feature 'timestamp-query'.
   */
  async profile(): Promise<Profiled[]> {
    const { device } = this.#gpu;
    const count = this.#commands.length;
    const querySet = device.createQuerySet({ type: 'timestamp', count: 2 * Math.min(count, 2048) });
    const total = new Map<string, Profiled>();
    for (let start = 0; start < count; start += 2048) {
      const commands = this.#commands.slice(start, start + 2048);
      const encoder = device.createCommandEncoder();
      commands.forEach((command, i) => {
        const pass = encoder.beginComputePass({
          timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
        });
        encode(pass, command);
        pass.end();
      });
      const times = device.createBuffer({
        size: 16 * commands.length,
        usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
      });
      encoder.resolveQuerySet(querySet, 0, 2 * commands.length, times, 0);
      device.queue.submit([encoder.finish()]);
      const storage: Storage = {
        label: 'timestamps',
        byteLength: 16 * commands.length,
        kind: 'staging',
        buffer: times,
      };
      const stamps = new BigUint64Array(
        await this.#gpu.read({ storage, byteOffset: 0, byteLength: 16 * commands.length }),
      );
      commands.forEach(({ label, part }, i) => {
        const key = `${part} ${label}`;
        const nanoseconds = (total.get(key)?.nanoseconds ?? 0) + Number(stamps[2 * i + 1] - stamps[2 * i]);
        total.set(key, { label, part, nanoseconds });
      });
      times.destroy();
    }
    querySet.destroy();
    return [...total.values()];
  }

  /** Frees the arena. For programs made by `build` only. */
  free(): void {
    this.#arena.free();
  }
}

function bufferBinding({ storage, byteOffset, byteLength }: Slice): GPUBufferBinding {
  return { buffer: bufferOf(storage), offset: byteOffset, size: byteLength };
}

function encode(pass: GPUComputePassEncoder, command: Command): void {
  pass.setPipeline(command.pipeline);
  pass.setBindGroup(0, command.bindGroup);
  pass.dispatchWorkgroups(command.x, command.y, command.z);
}
