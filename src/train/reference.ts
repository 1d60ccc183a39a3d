/**
 * The reference of a run, in the form that its objective needs: a model beside the policy, or what such a model says about
 * every response token, computed once and kept on disk. A model that was only needed for that is gone before training.
 */
import type { Example } from '../data/examples.ts';
import { InputError } from '../errors.ts';
import { locateModel, type ModelLocation } from '../formats/model-location.ts';
import type { Gpu } from '../gpu/device.ts';
import { checkComparable } from '../models/loading/comparable.ts';
import { freezeAdapter } from '../models/loading/frozen-adapter.ts';
import { type LoadedModel, loadHead } from '../models/loading/load.ts';
import { loadLocated } from '../models/loading/load-with-adapter.ts';
import type { ActiveObjective } from '../objectives/choice.ts';
import type { LmHead } from '../ops/logps/logit-chunks.ts';
import { barrier } from '../runtime/ranks.ts';
import { referenceHidden, referenceLogps } from '../step/reference-rows.ts';
import type { TrainConfig } from './config.ts';
import type { HiddenStates } from './hidden-states.ts';
import { ReferenceCache } from './reference-cache.ts';
import { referenceForm, type TrainerReference } from './reference-form.ts';

type Data = { readonly train: readonly Example[]; readonly eval: readonly Example[] };

/** A prepared reference; whoever prepared it closes it after the run. */
export interface PreparedReference {
  /** undefined where the objective needs none. */
  readonly reference: TrainerReference | undefined;
  close(): Promise<void>;
}

/** A model and whether its adapter takes part. */
interface LoadedReference {
  readonly loaded: LoadedModel;
  readonly adapter: boolean;
}

/**
 * To be called while the policy is as it was loaded, before a checkpoint is put back: it may be its own reference.
 * @param start where the policy was loaded from
 * @param note told what is computed and what was found
 */
export async function prepareReference(
  gpu: Gpu,
  config: TrainConfig,
  objective: ActiveObjective,
  policy: LoadedModel,
  start: ModelLocation,
  data: Data,
  note: (line: string) => void,
): Promise<PreparedReference> {
  if (objective.needs.referenceUpdate !== undefined && policy.lora !== undefined)
    throw new InputError(
      `${objective.name} moves its reference, which needs full fine-tuning; train no adapter.`,
    );
  const form = referenceForm(objective.needs, config.reference.mode);
  if (form === 'none') return { reference: undefined, close: async () => {} };
  if (form === 'live') {
    const location = await locateReference(gpu, config, start);
    const live = isOwnReference(policy, location)
      ? await heldPolicy(gpu, policy, start)
      : await loadReference(gpu, config, objective, policy, location);
    const close = async () => {
      if (live.loaded !== policy) live.loaded.free();
    };
    return { reference: { form, ...live }, close };
  }
  const location = await locateReference(gpu, config, start);
  const place = location ?? start;
  const load = async () =>
    isOwnReference(policy, location)
      ? { loaded: policy, adapter: start.adapter !== undefined }
      : loadReference(gpu, config, objective, policy, location);
  const source = new Precomputed(
    gpu,
    config,
    load,
    policy,
    place,
    await openCache(gpu, config, place, note),
    note,
  );
  try {
    if (form === 'logps') {
      const train = await source.logps(data.train);
      return { reference: { form, train, eval: await source.logps(data.eval) }, close: async () => {} };
    }
    const train = await source.hidden(data.train);
    const held = data.eval.length === 0 ? undefined : await source.hidden(data.eval);
    const close = async () => {
      await train.close();
      await held?.close();
    };
    return { reference: { form, train, eval: held, head: await source.head() }, close };
  } finally {
    source.free();
  }
}

/** The policy in the place of the reference, in the reference's form: enough to record a step, and to run none. */
export function plannedReference(
  config: TrainConfig,
  objective: ActiveObjective,
  policy: LoadedModel,
): TrainerReference | undefined {
  const form = referenceForm(objective.needs, config.reference.mode);
  switch (form) {
    case 'none':
      return undefined;
    case 'live':
      return { form, loaded: policy, adapter: false };
    case 'logps':
      return { form, train: [], eval: [] };
    case 'hidden': {
      const read = () => Promise.reject(new RangeError('A planned reference has no hidden states.'));
      return { form, train: { read }, eval: { read }, head: policy.model.head };
    }
  }
}

/** undefined where the reference is the policy as it was loaded. */
async function locateReference(
  gpu: Gpu,
  { reference }: TrainConfig,
  start: ModelLocation,
): Promise<ModelLocation | undefined> {
  if (reference.model === undefined && reference.adapter === undefined) return undefined;
  return locateModel(gpu.runtime.files, reference.model ?? start.path, reference.adapter);
}

function openCache(
  gpu: Gpu,
  { reference, model, output_dir }: TrainConfig,
  { path, adapter }: ModelLocation,
  note: (line: string) => void,
): Promise<ReferenceCache> {
  return ReferenceCache.open(reference.cache_dir ?? `${output_dir}/reference-cache`, {
    gpu,
    note,
    model: path,
    adapter,
    dtype: `${model.dtype}${model.load_in_8bit ? ' 8bit' : ''}${model.load_in_4bit ? ' 4bit' : ''}`,
  });
}

/** Reads from the cache; loads the model for the first thing that is not there. */
class Precomputed {
  readonly #gpu: Gpu;
  readonly #config: TrainConfig;
  readonly #open: () => Promise<LoadedReference>;
  readonly #policy: LoadedModel;
  readonly #location: ModelLocation;
  readonly #cache: ReferenceCache;
  readonly #note: (line: string) => void;
  #model: LoadedReference | undefined;

  constructor(
    gpu: Gpu,
    config: TrainConfig,
    open: () => Promise<LoadedReference>,
    policy: LoadedModel,
    location: ModelLocation,
    cache: ReferenceCache,
    note: (line: string) => void,
  ) {
    this.#gpu = gpu;
    this.#config = config;
    this.#open = open;
    this.#policy = policy;
    this.#location = location;
    this.#cache = cache;
    this.#note = note;
  }

  async logps(examples: readonly Example[]): Promise<readonly Float32Array[]> {
    const known = await this.#cache.read(examples);
    this.#announce('log-probs', examples, known !== undefined);
    if (known !== undefined) return known;
    const logps = await referenceLogps(this.#gpu, await this.#load(), examples, this.#maxTokens);
    if (this.#gpu.runtime.ranks.rank === 0) await this.#cache.write(examples, logps);
    return logps;
  }

  async hidden(examples: readonly Example[]): Promise<HiddenStates> {
    const known = await this.#cache.openHidden(examples);
    this.#announce('hidden states', examples, known !== undefined);
    if (known !== undefined) return known;
    const reference = await this.#load();
    const pieces = referenceHidden(this.#gpu, reference, examples, this.#maxTokens);
    const { ranks } = this.#gpu.runtime;
    const write = () => this.#cache.writeHidden(examples, reference.model.config.hiddenSize, pieces);
    // Every rank makes its share of the pieces, one writes them, all read them.
    await (ranks.rank === 0 ? write() : takeAll(pieces));
    await barrier(ranks);
    const written = await this.#cache.openHidden(examples);
    if (written === undefined) throw new RangeError('The hidden states just written are not there.');
    return written;
  }

  /** The policy's own frozen head under LoRA, else the reference's, which stays on the GPU. */
  async head(): Promise<LmHead> {
    const { path } = this.#location;
    if (this.#policy.lora !== undefined && path === this.#policy.directory.path)
      return this.#policy.model.head;
    return loadHead(this.#gpu, path, this.#config.model.dtype);
  }

  free(): void {
    if (this.#model !== undefined && this.#model.loaded !== this.#policy) this.#model.loaded.free();
  }

  get #maxTokens(): number {
    return this.#config.training.max_tokens_per_micro_batch;
  }

  async #load() {
    this.#model ??= await this.#open();
    return { model: this.#model.loaded.model, adapter: this.#model.adapter };
  }

  #announce(what: string, { length }: readonly Example[], isKnown: boolean): void {
    if (length === 0) return;
    this.#note(
      isKnown
        ? `Reference ${what} of ${length} rows: found in ${this.#cache.directory}.`
        : `Computing the reference ${what} of ${length} rows.`,
    );
  }
}

/** Goes through everything and keeps nothing. */
async function takeAll(pieces: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of pieces);
}

/** Whether the frozen weights under the policy's adapter are those of the reference. */
function isOwnReference({ lora }: LoadedModel, location: ModelLocation | undefined): boolean {
  return lora !== undefined && location === undefined;
}

/** The policy as it is now, for the whole run: a new adapter starts as nothing, one that goes on is held as it was loaded. */
async function heldPolicy(gpu: Gpu, policy: LoadedModel, start: ModelLocation): Promise<LoadedReference> {
  if (start.adapter === undefined) return { loaded: policy, adapter: false };
  return { loaded: await freezeAdapter(gpu, policy), adapter: true };
}

/** A reference with weights of its own; without a location those that the policy started from. */
async function loadReference(
  gpu: Gpu,
  { model, data, reference }: TrainConfig,
  objective: ActiveObjective,
  policy: LoadedModel,
  location: ModelLocation | undefined,
): Promise<LoadedReference> {
  const moves = objective.needs.referenceUpdate !== undefined;
  if (moves && reference.mode === 'precompute') {
    throw new InputError(
      `reference.mode: ${objective.name} moves its reference during the run, so it cannot be precomputed; use auto.`,
    );
  }
  const place = location ?? { path: policy.directory.path, adapter: undefined };
  const options = {
    dtype: moves ? ('f32' as const) : model.dtype,
    positions: data.max_length,
    exactDType: policy.lora === undefined,
  };
  const loaded = await loadLocated(gpu, place, options);
  checkComparable(policy.model, loaded.model, 'reference.model');
  return { loaded, adapter: loaded.lora !== undefined };
}
