/** The engine's models by name, each with its tokenizer and where its files are. */
import {
  formatBytes,
  type Gpu,
  type LoadedModel,
  loadTokenizer,
  loadWithAdapter,
  sum,
  type Tokenizer,
} from '../../src/engine.ts';
import { InputError, type MemoryFiles } from '../../src/index.ts';
import { placeModel } from './model-files.ts';
import type { ModelSource, ModelSummary } from './protocol.ts';

/** A model in a slot. */
export interface Slot {
  readonly loaded: LoadedModel;
  readonly tokenizer: Tokenizer;
  /** Where its files are: the model's directory, and the adapter's. */
  readonly directory: string;
  readonly adapter: string | undefined;
}

export class ModelSlots {
  readonly #files: MemoryFiles;
  readonly #slots = new Map<string, Slot>();
  #loads = 0;

  constructor(files: MemoryFiles) {
    this.#files = files;
  }

  /**
   * Loads a model for a slot, which keeps what it has until `set`.
   * @throws InputError for files that are no model, and for a model that the device has no memory for
   */
  async load(gpu: Gpu, name: string, source: ModelSource): Promise<Slot> {
    // A directory of its own, so that a model that fails to load leaves the one before as it was.
    const placed = await placeModel(this.#files, `${name}-${++this.#loads}`, source);
    const directory = placed.model ?? this.#baseOfAdapter();
    const loaded = await refusedAllocations(gpu, name, () =>
      loadWithAdapter(gpu, directory, placed.adapter, Number.MAX_SAFE_INTEGER),
    );
    const tokenizer = await loadTokenizer(this.#files, directory).catch((error: unknown) => {
      loaded.free();
      throw error;
    });
    return { loaded, tokenizer, directory, adapter: placed.adapter };
  }

  has(name: string): boolean {
    return this.#slots.has(name);
  }

  /** @throws InputError that names the models there are */
  get(name: string): Slot {
    const slot = this.#slots.get(name);
    if (slot !== undefined) return slot;
    const known = [...this.#slots.keys()].join(', ') || 'none';
    throw new InputError(`There is no model called ${name}; loaded: ${known}.`);
  }

  /** The one that was loaded first; undefined while there is none. */
  get first(): Slot | undefined {
    const [first] = this.#slots.values();
    return first;
  }

  set(name: string, slot: Slot): void {
    this.#slots.set(name, slot);
  }

  /** Forgets a model whose memory is freed elsewhere. */
  forget(name: string): void {
    this.#slots.delete(name);
  }

  free(name: string): void {
    this.#slots.get(name)?.loaded.free();
    this.#slots.delete(name);
  }

  /** Forgets all of them: their device is gone. */
  clear(): void {
    this.#slots.clear();
  }

  /** An adapter alone goes on top of the reference. */
  #baseOfAdapter(): string {
    const base = this.#slots.get('reference');
    if (base !== undefined) return base.directory;
    throw new InputError('This is a PEFT adapter without its model. Load the model as the reference first.');
  }
}

/** What the page is told of a model. @param gpuBytes what it took to load it */
export function summaryOf(slot: string, { loaded, adapter }: Slot, gpuBytes: number): ModelSummary {
  const { config, weights } = loaded;
  return {
    slot,
    architecture: config.architecture,
    parameters: sum(weights.map(({ shape }) => shape.reduce((a, b) => a * b, 1))),
    vocabSize: config.vocabSize,
    maxPositions: config.maxPositions,
    gpuBytes,
    adapter,
  };
}

/**
 * Runs `load` and turns the device's refusal of a buffer into a sentence. What was allocated until then is released with
 * the failed model's own buffers when the page reloads the engine.
 */
async function refusedAllocations(
  gpu: Gpu,
  name: string,
  load: () => Promise<LoadedModel>,
): Promise<LoadedModel> {
  const before = gpu.memory.current;
  gpu.device.pushErrorScope('validation');
  gpu.device.pushErrorScope('out-of-memory');
  let loaded: LoadedModel | undefined;
  try {
    loaded = await load();
    return loaded;
  } finally {
    // Out of memory, or more in one piece than the device takes at all: while loading, nothing else is refused.
    const refused = [await gpu.device.popErrorScope(), await gpu.device.popErrorScope()];
    if (refused.some((error) => error !== null)) {
      const needed = gpu.memory.current - before;
      loaded?.free();
      // biome-ignore lint/correctness/noUnsafeFinally: the refusal is the cause of whatever else failed
      throw new InputError(
        `${name} needs ${formatBytes(needed)} of GPU memory, which this adapter does not have. ` +
          `Models of up to about ${formatBytes(needed / 2)} may fit; a 16-bit checkpoint takes half of a 32-bit one.`,
      );
    }
  }
}
