/**
 * Trained parameters live together in a few long f32 slabs: masters and gradients, and whatever an optimizer keeps beside
 * them, all laid out alike. The optimizer and the gradient norm then need one dispatch per slab, not one per tensor.
 *
 * With 16-bit compute another slab holds rounded copies for the forward and backward products; the update always goes
 * to the f32 masters, because a step of 5e-7 vanishes in 16 bits.
 *
 * Several ranks may share the update of matrices: each updates its slice of a slab, and needs moments (and masters, where
 * products read 16-bit copies) for that slice alone. Vectors are read in f32, and few: every rank updates all of them.
 */
import {
  alignUp,
  bytesPerElement,
  type DType,
  elementCount,
  fromStorage,
  rowLength,
  rowsPerShard,
  type Shard,
  type Tensor,
} from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import type { MemoryKind, Storage } from '../gpu/memory.ts';
import { type Share, type SharedTensor, sharedTensor, shareOf, unshared } from './shares.ts';

export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** Whether weight decay applies: matrices, but neither norms nor biases. */
  readonly decays: boolean;
  /** Parameters of one stack lie one after the other where rows of all of them begin on aligned offsets: see `joinRows`. */
  readonly stack?: string | undefined;
}

/** One slab: 1-D tensors of equal length that the optimizer walks together. */
export interface Slab {
  readonly length: number;
  /** What this process updates: everything, or the slice of its rank. */
  readonly share: Share;
  readonly isShared: boolean;
  /** Of all elements or, where ranks share the masters, of `share` alone. */
  readonly master: Tensor;
  readonly hasWholeMaster: boolean;
  readonly gradient: Tensor;
  /** 16-bit copy of the masters, where compute is 16-bit. */
  readonly copy: Tensor | undefined;
  readonly weightDecay: boolean;
}

export interface TrainedParameter extends ParameterSpec {
  /** @throws RangeError where ranks hold it between them */
  readonly master: Tensor;
  /** The master, whole or not. */
  readonly held: Tensor | SharedTensor;
  /** What layers multiply with: the master, or its 16-bit copy. Wants a gradient. */
  readonly tensor: Tensor;
}

/** A run of rows of one parameter inside one slab, in elements. */
interface Placement {
  readonly slab: number;
  readonly offset: number;
  readonly rowStart: number;
  readonly rows: number;
}

export class ParameterSlabs {
  readonly slabs: readonly Slab[];
  readonly parameters: ReadonlyMap<string, TrainedParameter>;
  readonly #gpu: Gpu;
  /** Where each parameter lies, by the index of its slab. */
  readonly #placements = new Map<string, readonly Placement[]>();

  /**
   * @param dtype of the copies used in products; f32 uses the masters themselves.
   * @param ranks that share the update of matrices; without them every process updates everything
   */
  constructor(
    gpu: Gpu,
    specs: readonly ParameterSpec[],
    dtype: DType,
    { rank, size }: { readonly rank: number; readonly size: number } = { rank: 0, size: 1 },
  ) {
    this.#gpu = gpu;
    const slabs: Slab[] = [];
    const parameters = new Map<string, TrainedParameter>();
    for (const weightDecay of [true, false]) {
      const group = specs.filter((s) => s.decays === weightDecay);
      const { placements, lengths } = place(group, dtype, gpu.maxBindingBytes);
      const first = slabs.length;
      const areMatrices = group.every(({ shape }) => shape.length > 1);
      for (const length of lengths) {
        const share = areMatrices ? shareOf(length, rank, size) : { start: 0, length };
        slabs.push(makeSlab(gpu, length, dtype, weightDecay, share, areMatrices && size > 1));
      }
      for (const spec of group) {
        const placed = (placements.get(spec.name) ?? []).map((run) => ({ ...run, slab: first + run.slab }));
        this.#placements.set(spec.name, placed);
        const view = (of: (slab: Slab) => Tensor) => viewOf(spec, placed, (slab) => of(slabs[slab]));
        const gradient = view((slab) => slab.gradient);
        const computed = view((slab) => slab.copy ?? slab.master);
        const isWhole = placed.every(({ slab }) => slabs[slab].hasWholeMaster);
        const held = isWhole
          ? view((slab) => slab.master)
          : sharedViewOf(spec, placed, slabs, (slab) => slabs[slab].master);
        parameters.set(spec.name, {
          ...spec,
          get master() {
            return unshared(held);
          },
          held,
          tensor: { ...computed, requiresGrad: true, gradient },
        });
      }
    }
    this.slabs = slabs;
    this.parameters = parameters;
  }

  /** A parameter's part of tensors that are laid out as the slabs' shares are, one to each slab. */
  partOf(spec: ParameterSpec, tensors: readonly Tensor[]): Tensor | SharedTensor {
    const placements = this.#placements.get(spec.name);
    if (placements === undefined) throw new RangeError(`${spec.name} is not trained.`);
    if (placements.some(({ slab }) => this.slabs[slab].isShared))
      return sharedViewOf(spec, placements, this.slabs, (slab) => tensors[slab]);
    return viewOf(spec, placements, (slab) => tensors[slab]);
  }

  /** Frees all slabs. */
  free(): void {
    for (const slab of this.slabs) {
      for (const tensor of [slab.master, slab.gradient, slab.copy]) {
        for (const shard of tensor?.shards ?? []) this.#gpu.memory.free(shard.storage);
      }
    }
  }
}

/** Parameters in the order in which they lie: those of a stack where its first one is. */
function stacked(specs: readonly ParameterSpec[]): readonly (readonly ParameterSpec[])[] {
  const stacks = new Map<string, ParameterSpec[]>();
  for (const spec of specs) {
    const key = spec.stack === undefined ? `parameter ${spec.name}` : `stack ${spec.stack}`;
    stacks.set(key, [...(stacks.get(key) ?? []), spec]);
  }
  return [...stacks.values()];
}

/**
 * Lays parameters end to end, each on an aligned offset in every dtype, opening a new slab when one is full. A stack is not divided
 * between slabs if one can hold it.
 */
function place(
  specs: readonly ParameterSpec[],
  dtype: DType,
  maxBytes: number,
): { placements: ReadonlyMap<string, readonly Placement[]>; lengths: number[] } {
  const alignment = alignUp(1) / Math.min(4, bytesPerElement(dtype));
  const align = (elements: number) => Math.ceil(elements / alignment) * alignment;
  const limit = Math.floor(maxBytes / 4);
  const lengths: number[] = [];
  const placements = new Map<string, readonly Placement[]>();
  const layOne = ({ name, shape }: ParameterSpec) => {
    const length = rowLength(shape);
    const runs: Placement[] = [];
    const step = rowsPerShard(name, shape, 'f32', maxBytes);
    for (let rowStart = 0; rowStart < (shape[0] ?? 1); rowStart += step) {
      const rows = Math.min(step, (shape[0] ?? 1) - rowStart);
      const last = lengths.length - 1;
      if (last === -1 || align(lengths[last]) + rows * length > limit) lengths.push(0);
      const slab = lengths.length - 1;
      const offset = align(lengths[slab]);
      lengths[slab] = offset + rows * length;
      runs.push({ slab, offset, rowStart, rows });
    }
    placements.set(name, runs);
  };
  for (const stack of stacked(specs)) {
    const total = stack.reduce((sum, { shape }) => sum + align(elementCount(shape)), 0);
    const isFull = lengths.length > 0 && align(lengths[lengths.length - 1]) + total > limit;
    if (isFull && stack.length > 1 && total <= limit) lengths.push(0);
    stack.forEach(layOne);
  }
  return { placements, lengths: lengths.map((n) => Math.ceil(n / 4) * 4) };
}

function makeSlab(
  gpu: Gpu,
  length: number,
  dtype: DType,
  weightDecay: boolean,
  share: Share,
  isShared: boolean,
): Slab {
  const make = (label: string, type: DType, kind: MemoryKind, count = length): Tensor => {
    const storage = gpu.memory.allocate(label, Math.max(4, count * bytesPerElement(type)), kind);
    return fromStorage(storage, [count], type);
  };
  // Without copies the masters are what products read.
  const hasWholeMaster = !isShared || dtype === 'f32';
  return {
    length,
    share,
    isShared,
    master: make('master weights', 'f32', 'weights', hasWholeMaster ? length : share.length),
    hasWholeMaster,
    gradient: make('gradients', 'f32', 'gradients'),
    copy: dtype === 'f32' ? undefined : make('compute weights', dtype, 'weights'),
    weightDecay,
  };
}

function sharedViewOf(
  { name, shape }: ParameterSpec,
  placements: readonly Placement[],
  slabs: readonly Slab[],
  held: (slab: number) => Tensor,
): SharedTensor {
  const runs = placements.map((run) => ({ ...run, share: slabs[run.slab].share, held: held(run.slab) }));
  return sharedTensor(name, shape, runs);
}

function viewOf(
  spec: ParameterSpec,
  placements: readonly Placement[],
  slabTensor: (slab: number) => Tensor,
): Tensor {
  const dtype = slabTensor(placements[0].slab).dtype;
  const size = bytesPerElement(dtype);
  const shards = placements.map(({ slab, offset, rowStart, rows }): Shard => {
    const storage: Storage = slabTensor(slab).shards[0].storage;
    const byteLength = Math.ceil((rows * rowLength(spec.shape) * size) / 4) * 4;
    return { storage, byteOffset: offset * size, byteLength, rowStart, rows };
  });
  return { label: spec.name, shape: spec.shape, dtype, shards, requiresGrad: false };
}
