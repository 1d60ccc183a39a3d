/**
 * The reference of a run, in the form that its objective needs: a model beside the policy, or what such a model says about
 * every response token, computed once and kept on disk. A model that was only needed for that is gone before training.
 */
import type { Example } from '../data/examples.ts';
import { InputError } from '../errors.ts';
import type { Gpu } from '../gpu/device.ts';
import { checkComparable } from '../models/loading/comparable.ts';
import { type LoadedModel, loadHead, loadModel } from '../models/loading/load.ts';
import type { ActiveObjective } from '../objectives/choice.ts';
import type { LmHead } from '../ops/logps/logit-chunks.ts';
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

/** @param note told what is computed and what was found */
export async function prepareReference(
  gpu: Gpu,
  config: TrainConfig,
  objective: ActiveObjective,
  policy: LoadedModel,
  data: Data,
  note: (line: string) => void,
): Promise<PreparedReference> {
  const form = referenceForm(objective.needs, config.reference.mode);
  if (form === 'none') return { reference: undefined, close: async () => {} };
  if (form === 'live') {
    const live = await loadReference(gpu, config, objective, policy);
    const close = async () => {
      if (live.loaded !== policy) live.loaded.free();
    };
    return { reference: { form, ...live }, close };
  }
  const source = new Precomputed(gpu, config, objective, policy, await openCache(gpu, config, note), note);
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

function openCache(
  gpu: Gpu,
  { reference, model, output_dir }: TrainConfig,
  note: (line: string) => void,
): Promise<ReferenceCache> {
  return ReferenceCache.open(reference.cache_dir ?? `${output_dir}/reference-cache`, {
    gpu,
    note,
    model: reference.model ?? model.path,
    dtype: `${model.dtype}${model.load_in_8bit ? ' 8bit' : ''}${model.load_in_4bit ? ' 4bit' : ''}`,
  });
}

/** Reads from the cache; loads the model for the first thing that is not there. */
class Precomputed {
  readonly #gpu: Gpu;
  readonly #config: TrainConfig;
  readonly #objective: ActiveObjective;
  readonly #policy: LoadedModel;
  readonly #cache: ReferenceCache;
  readonly #note: (line: string) => void;
  #model: { readonly loaded: LoadedModel; readonly adapter: boolean } | undefined;

  constructor(
    gpu: Gpu,
    config: TrainConfig,
    objective: ActiveObjective,
    policy: LoadedModel,
    cache: ReferenceCache,
    note: (line: string) => void,
  ) {
    this.#gpu = gpu;
    this.#config = config;
    this.#objective = objective;
    this.#policy = policy;
    this.#cache = cache;
    this.#note = note;
  }

  async logps(examples: readonly Example[]): Promise<readonly Float32Array[]> {
    const known = await this.#cache.read(examples);
    this.#announce('log-probs', examples, known !== undefined);
    if (known !== undefined) return known;
    const logps = await referenceLogps(this.#gpu, await this.#load(), examples, this.#maxTokens);
    await this.#cache.write(examples, logps);
    return logps;
  }

  async hidden(examples: readonly Example[]): Promise<HiddenStates> {
    const known = await this.#cache.openHidden(examples);
    this.#announce('hidden states', examples, known !== undefined);
    if (known !== undefined) return known;
    const reference = await this.#load();
    const pieces = referenceHidden(this.#gpu, reference, examples, this.#maxTokens);
    await this.#cache.writeHidden(examples, reference.model.config.hiddenSize, pieces);
    const written = await this.#cache.openHidden(examples);
    if (written === undefined) throw new RangeError('The hidden states just written are not there.');
    return written;
  }

  /** The policy's own frozen head under LoRA, else the reference's, which stays on the GPU. */
  async head(): Promise<LmHead> {
    const { model, reference } = this.#config;
    if (this.#policy.lora !== undefined && reference.model === undefined) return this.#policy.model.head;
    return loadHead(this.#gpu, reference.model ?? model.path, model.dtype);
  }

  free(): void {
    if (this.#model !== undefined && this.#model.loaded !== this.#policy) this.#model.loaded.free();
  }

  get #maxTokens(): number {
    return this.#config.training.max_tokens_per_micro_batch;
  }

  async #load() {
    this.#model ??= await loadReference(this.#gpu, this.#config, this.#objective, this.#policy);
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

/** The reference: the base of a LoRA model, or weights of its own. */
async function loadReference(
  gpu: Gpu,
  config: TrainConfig,
  objective: ActiveObjective,
  policy: LoadedModel,
): Promise<{ readonly loaded: LoadedModel; readonly adapter: boolean }> {
  const live = objective.needs.referenceUpdate !== undefined;
  if (live && config.reference.mode === 'precompute') {
    throw new InputError(
      `reference.mode: ${objective.name} moves its reference during the run, so it cannot be precomputed; use auto.`,
    );
  }
  if (live && config.lora !== undefined)
    throw new InputError(`lora: ${objective.name} moves its reference, which needs full fine-tuning.`);
  if (policy.lora !== undefined && config.reference.model === undefined)
    return { loaded: policy, adapter: false };
  const dtype = live ? 'f32' : config.model.dtype;
  const loaded = await loadModel(gpu, config.reference.model ?? config.model.path, {
    train: 'none',
    dtype,
    positions: config.data.max_length,
  });
  checkComparable(policy.model, loaded.model, 'reference.model');
  return { loaded, adapter: false };
}
