/** The engine behind the page, in a worker. Knows the runtime by its interface only, so that Node can test it. */

import { readRows } from '../../src/data/jsonl.ts';
import { loadTokenizer } from '../../src/data/load-tokenizer.ts';
import { prepareDataset } from '../../src/data/prepare.ts';
import { readRow } from '../../src/data/rows.ts';
import type { Tokenizer } from '../../src/data/tokenizer.ts';
import { InputError } from '../../src/errors.ts';
import { writeDirectory } from '../../src/formats/directory-writer.ts';
import { generate } from '../../src/generate/generator.ts';
import { DeviceLostError, Gpu } from '../../src/gpu/device.ts';
import { type LoadedModel, loadModel } from '../../src/models/load.ts';
import { loadWithAdapter } from '../../src/models/load-with-adapter.ts';
import { activate } from '../../src/objectives/registry.ts';
import type { MemoryFiles } from '../../src/runtime/memory-files.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { blobSource, fetchSource } from '../../src/runtime/web-sources.ts';
import { type TrainConfigInput, trainConfigFrom } from '../../src/train/config.ts';
import { trainedModelFiles } from '../../src/train/saving.ts';
import { type StepReport as EngineStep, needsLiveReference, Trainer } from '../../src/train/trainer.ts';
import { methodSummaries } from './methods.ts';
import { playgroundCurves } from './playground.ts';
import type {
  AdapterSummary,
  EngineApi,
  GenerateRequest,
  MethodChoice,
  MethodSummary,
  ModelSlot,
  ModelSource,
  ModelSummary,
  NamedFile,
  PairStatistics,
  PairText,
  PlaygroundCurve,
  PlaygroundRequest,
  ScoredPair,
  ScoreRequest,
  StepReport,
  TrainRequest,
  TrainState,
} from './protocol.ts';
import { ModelScorers } from './scoring.ts';

/** A runtime whose files are in memory. */
export type PageRuntime = Runtime & { readonly files: MemoryFiles };

/** Files of a model that are fetched from a folder of the page; those that are missing there are left out. */
const MODEL_FILES = [
  'config.json',
  'generation_config.json',
  'model.safetensors',
  'model.safetensors.index.json',
  'tokenizer.json',
  'tokenizer_config.json',
];
const OPTIONAL = new Set(['generation_config.json', 'model.safetensors.index.json']);

export interface OpenModel {
  readonly slot: ModelSlot;
  readonly path: string;
  readonly loaded: LoadedModel;
  readonly tokenizer: Tokenizer;
}

interface Training {
  readonly trainer: Trainer;
  readonly request: TrainRequest;
  readonly reference: LoadedModel | undefined;
  state: TrainState;
}

export class Engine implements EngineApi {
  readonly #runtime: PageRuntime;
  readonly #models = new Map<ModelSlot, OpenModel>();
  readonly #lanes = new Map<string, number>();
  #gpu: Gpu | undefined;
  #scorers: ModelScorers | undefined;
  #training: Training | undefined;
  /** Calls that use the GPU wait for the one before. */
  #last: Promise<unknown> = Promise.resolve();
  #onLost: (reason: string) => void = () => {};

  constructor(runtime: PageRuntime) {
    this.#runtime = runtime;
  }

  async open(): Promise<AdapterSummary> {
    const adapter = await this.#runtime.requestAdapter();
    const gpu = await Gpu.open(this.#runtime);
    this.#gpu = gpu;
    this.#scorers = new ModelScorers(gpu);
    this.#models.clear();
    this.#training = undefined;
    void gpu.device.lost.then(({ reason, message }) => {
      if (reason === 'destroyed' || this.#gpu !== gpu) return;
      this.#gpu = undefined;
      this.#onLost(message || 'no reason given');
    });
    return {
      description: gpu.driver || gpu.adapterName,
      vendor: adapter.info.vendor,
      architecture: adapter.info.architecture,
      isFallback: gpu.isCpu,
      maxBindingBytes: gpu.maxBindingBytes,
    };
  }

  async onDeviceLost(callback: (reason: string) => void): Promise<void> {
    this.#onLost = callback;
  }

  async loadModel(slot: ModelSlot, source: ModelSource): Promise<ModelSummary> {
    return this.#inTurn(async (gpu) => {
      const { model, adapter } = await this.#place(slot, source);
      const positions = Number.MAX_SAFE_INTEGER;
      const loaded = await loadWithAdapter(gpu, model, adapter, positions);
      const tokenizer = await loadTokenizer(this.#runtime.files, model);
      this.#forget(slot);
      this.#models.set(slot, { slot, path: model, loaded, tokenizer });
      const { config } = loaded;
      return {
        slot,
        architecture: config.architecture,
        parameters: [...loaded.directory.tensors.values()].reduce(
          (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
          0,
        ),
        vocabSize: config.vocabSize,
        maxPositions: config.maxPositions,
        gpuBytes: gpu.memory.byKind.get('weights') ?? 0,
        adapter,
      };
    });
  }

  async freeModel(slot: ModelSlot): Promise<void> {
    await this.#inTurn(async () => this.#forget(slot));
  }

  async readPairs(name: string, file: Blob): Promise<readonly PairText[]> {
    const { files } = this.#runtime;
    const path = `pairs/${name}`;
    files.add(path, blobSource(file, name));
    const pairs: PairText[] = [];
    try {
      for await (const raw of readRows(files, path)) {
        const { texts } = readRow(raw, { columns: {}, format: 'auto', expects: 'paired' });
        if (texts.conversational)
          throw new InputError(
            `${name}:${raw.line}: conversations need their template; give prompt, chosen and rejected as text.`,
          );
        const [chosen, rejected] = texts.answers;
        pairs.push({ prompt: texts.prompt, chosen, rejected });
      }
    } finally {
      await files.remove(path);
    }
    if (pairs.length === 0) throw new InputError(`${name}: there is no row in it.`);
    return pairs;
  }

  async score(lane: string, request: ScoreRequest): Promise<ScoredPair | undefined> {
    const ticket = (this.#lanes.get(lane) ?? 0) + 1;
    this.#lanes.set(lane, ticket);
    return this.#inTurn(async () => {
      if (this.#lanes.get(lane) !== ticket) return undefined;
      return this.#score(request);
    });
  }

  async statistics(
    pairs: readonly PairText[],
    policy: ModelSlot,
    reference: ModelSlot,
    onRows: (rows: readonly PairStatistics[]) => void,
  ): Promise<void> {
    const step = 8;
    for (let start = 0; start < pairs.length; start += step) {
      const rows = await this.#inTurn(() =>
        this.#scorersOf().statistics(
          this.#model(policy),
          this.#model(reference),
          pairs.slice(start, start + step),
          start,
        ),
      );
      onRows(rows);
    }
  }

  async generate(request: GenerateRequest, onText: (text: string) => void): Promise<string> {
    return this.#inTurn(async (gpu) => {
      const { loaded, tokenizer } = this.#model(request.model);
      const prompt = tokenizer.encodePrompt(request.prompt);
      const [ids] = await generate(gpu, loaded.model, [prompt], {
        temperature: request.temperature,
        topK: 0,
        topP: 1,
        seed: request.seed,
        maxNewTokens: request.maxTokens,
        eosIds: tokenizer.eosIds,
        adapter: true,
        batchSize: 1,
      });
      const text = tokenizer.decode(ids, { skipSpecial: true });
      onText(text);
      return text;
    });
  }

  async methods(): Promise<readonly MethodSummary[]> {
    return methodSummaries();
  }

  async playground(request: PlaygroundRequest): Promise<readonly PlaygroundCurve[]> {
    return this.#inTurn((gpu) => playgroundCurves(gpu, request));
  }

  async prepareTraining(request: TrainRequest): Promise<void> {
    await this.#inTurn(async (gpu) => {
      await this.#endTraining();
      const start = this.#model(request.start);
      const config = trainConfigFrom(configOf(request, start.path));
      const objective = activate(config.objective);
      const train = await this.#examples(request.pairs, start, objective.needs.differences);
      const options = { dtype: 'f32', positions: start.loaded.config.maxPositions } as const;
      const policy = await loadModel(gpu, start.path, { train: 'full', ...options });
      const reference =
        objective.needs.reference === 'none'
          ? undefined
          : await loadModel(gpu, start.path, { train: 'none', ...options });
      const trainer = await Trainer.open(
        {
          gpu,
          config,
          objective,
          policy,
          reference: reference && { loaded: reference, adapter: false },
          train,
          eval: [],
        },
        () => {},
      );
      await trainer.warmUp();
      const isLive = needsLiveReference({ objective, config });
      if (!isLive) reference?.free();
      this.#models.set('policy', { ...start, slot: 'policy', loaded: policy });
      this.#training = { trainer, request, reference: isLive ? reference : undefined, state: 'paused' };
    });
  }

  async step(): Promise<StepReport> {
    return this.#inTurn(() => this.#step());
  }

  async train(onStep: (report: StepReport) => void): Promise<TrainState> {
    const training = this.#trainingOf();
    training.state = 'running';
    while (training.state === 'running' && training.trainer.step < training.request.steps) {
      onStep(await this.step());
      // Messages such as `pause` come in between two steps.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    if (training.state === 'running') training.state = 'finished';
    return training.state;
  }

  async pause(): Promise<void> {
    if (this.#training?.state === 'running') this.#training.state = 'paused';
  }

  async resetTraining(): Promise<void> {
    await this.#inTurn(() => this.#endTraining());
  }

  async exportPolicy(): Promise<readonly NamedFile[]> {
    return this.#inTurn(async (gpu) => {
      const { files } = this.#runtime;
      const policy = this.#trainingOf().trainer.policy;
      const folder = 'export';
      await files.remove(folder);
      await writeDirectory(files, folder, await trainedModelFiles(gpu, policy));
      const names = await files.list(folder);
      return Promise.all(names.map(async (path) => ({ path, file: await files.blob(`${folder}/${path}`) })));
    });
  }

  async gpuBytes(): Promise<number> {
    return this.#gpu?.memory.current ?? 0;
  }

  async #step(): Promise<StepReport> {
    const training = this.#trainingOf();
    const { trainer, request } = training;
    let report: EngineStep | undefined;
    try {
      await trainer.runStep();
      report = await trainer.flush();
    } catch (error) {
      training.state = 'failed';
      throw error;
    }
    const isKnown = this.#models.has('reference');
    const watched =
      request.watch === undefined
        ? undefined
        : await this.#score({
            pair: request.watch,
            policy: 'policy',
            reference: isKnown ? 'reference' : undefined,
            method: request.method,
            details: false,
          });
    return {
      step: trainer.step,
      metrics: report?.metrics ?? {},
      gpuBytes: this.#gpu?.memory.current ?? 0,
      watched,
    };
  }

  async #score({ pair, policy, reference, method, details }: ScoreRequest): Promise<ScoredPair> {
    return this.#scorersOf().score(
      this.#model(policy),
      reference === undefined ? undefined : this.#model(reference),
      method,
      pair,
      details,
    );
  }

  /** Tokenized rows in the order given. @throws InputError for rows that no step can use */
  async #examples(pairs: readonly PairText[], model: OpenModel, diff?: 'levenshtein' | 'difflib') {
    const { files } = this.#runtime;
    const path = 'training.jsonl';
    files.add(path, pairs.map((pair) => JSON.stringify(pair)).join('\n'));
    const { examples } = await prepareDataset({
      files,
      path,
      tokenizer: model.tokenizer,
      columns: {},
      format: 'auto',
      expects: 'paired',
      maxLength: model.loaded.config.maxPositions,
      truncation: 'keep_start',
      diff,
      modelVocabSize: model.loaded.config.vocabSize,
    });
    return examples;
  }

  /** Puts the files of a model where loading looks for them. @returns its directory, and its adapter's */
  async #place(
    slot: ModelSlot,
    source: ModelSource,
  ): Promise<{ model: string; adapter: string | undefined }> {
    const { files } = this.#runtime;
    const model = `models/${slot}`;
    await files.remove(model);
    if (source.kind === 'url') {
      for (const name of MODEL_FILES) {
        const found = await fetchSource(`${source.url}/${name}`).catch((error: unknown) => {
          if (OPTIONAL.has(name)) return undefined;
          throw error;
        });
        if (found !== undefined) files.add(`${model}/${name}`, found);
      }
      return { model, adapter: undefined };
    }
    const adapter = `${model}-adapter`;
    await files.remove(adapter);
    for (const { path, file } of source.files) {
      const name = path.split('/').at(-1) ?? path;
      files.add(`${name.startsWith('adapter_') ? adapter : model}/${name}`, blobSource(file, path));
    }
    const hasAdapter = await files.exists(`${adapter}/adapter_config.json`);
    if (!hasAdapter) return { model, adapter: undefined };
    const base = await files.exists(`${model}/config.json`);
    return { model: base ? model : this.#model('reference').path, adapter };
  }

  #forget(slot: ModelSlot): void {
    const model = this.#models.get(slot);
    if (model === undefined) return;
    this.#scorersOf().forget(model.loaded);
    model.loaded.free();
    this.#models.delete(slot);
  }

  async #endTraining(): Promise<void> {
    const training = this.#training;
    if (training === undefined) return;
    training.state = 'idle';
    this.#training = undefined;
    await this.#gpu?.settle();
    training.trainer.free();
    training.reference?.free();
    this.#forget('policy');
  }

  #model(slot: ModelSlot): OpenModel {
    const model = this.#models.get(slot);
    if (model === undefined) throw new InputError(`There is no model called ${slot} here yet.`);
    return model;
  }

  #trainingOf(): Training {
    if (this.#training === undefined) throw new InputError('Nothing is being trained; prepare a run first.');
    return this.#training;
  }

  #scorersOf(): ModelScorers {
    if (this.#scorers === undefined) throw new InputError('The GPU is not open yet.');
    return this.#scorers;
  }

  /** Runs `job` when the ones before it are done. @throws what the device reports rather than what failed for it */
  #inTurn<T>(job: (gpu: Gpu) => Promise<T>): Promise<T> {
    const run = async (): Promise<T> => {
      const gpu = this.#gpu;
      if (gpu === undefined) throw new DeviceLostError('open it again');
      try {
        return await job(gpu);
      } catch (error) {
        gpu.throwIfFailed();
        throw error;
      }
    };
    const result = this.#last.then(run, run);
    this.#last = result.catch(() => {});
    return result;
  }
}

/** The run as a configuration: the tab trains in full, at a constant rate. */
function configOf(
  { method, learningRate, batchSize, steps, seed }: TrainRequest,
  model: string,
): TrainConfigInput {
  return {
    model: { path: model },
    objective: methodConfig(method),
    data: { train: 'training.jsonl' },
    training: {
      learning_rate: learningRate,
      max_steps: steps,
      per_device_train_batch_size: batchSize,
      lr_scheduler_type: 'constant',
      warmup_ratio: 0,
      gradient_checkpointing: false,
    },
    output_dir: 'run',
    seed,
  };
}

function methodConfig({ name, settings, bmc }: MethodChoice) {
  return { name, settings: { ...settings }, ...(bmc === undefined ? {} : { bmc: { ...bmc } }) };
}
