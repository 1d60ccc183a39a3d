/**
 * The engine behind the page: models by name, scores, statistics, generation and training on one device. It runs wherever
 * a `Runtime` with files in memory does; the worker wraps it, tests call it. Calls are served one at a time, in order;
 * training takes its turn step by step, so that scores and `pause` come in between.
 */
import {
  activate,
  Gpu,
  generateTokens,
  loadTokenizer,
  trainedModelFiles,
  writeDirectory,
} from '../../src/engine.ts';
import { InputError, type MemoryFiles, RunError, type Runtime } from '../../src/index.ts';
import { type KeptFolder, RunKeeper } from './kept-run.ts';
import { methodSummaries } from './methods.ts';
import { ModelSlots, type Slot, summaryOf } from './model-slots.ts';
import { readPairTexts } from './pair-rows.ts';
import { PairScorers } from './pair-scorers.ts';
import { lambdaCurve, playgroundCurves } from './playground.ts';
import type * as api from './protocol.ts';
import { filesOf, KEEP_EVERY, loadStart, RUN, Training } from './training.ts';

/** A runtime whose files are in memory. */
export type EngineRuntime = Runtime & { readonly files: MemoryFiles };

const POLICY = 'policy';
const EXPORTED = 'exported';

export class Engine implements api.EngineApi {
  readonly #runtime: EngineRuntime;
  readonly #keeper: Promise<RunKeeper | undefined>;
  readonly #models: ModelSlots;
  /** The last call of every lane. */
  readonly #lanes = new Map<string, number>();
  #gpu: Gpu | undefined;
  #scorers: PairScorers | undefined;
  #training: Training | undefined;
  #isPaused = true;
  #calls = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #onLost: (reason: string) => void = () => {};
  #onProgress: (text: string) => void = () => {};

  /** @param folder where the run in training outlives the page; undefined where nothing does */
  constructor(runtime: EngineRuntime, folder: Promise<KeptFolder | undefined> = Promise.resolve(undefined)) {
    this.#runtime = runtime;
    this.#models = new ModelSlots(runtime.files);
    this.#keeper = folder.then((found) => found && new RunKeeper(found));
  }

  open(): Promise<api.AdapterSummary> {
    return this.#inTurn(async () => {
      this.#close();
      const gpu = await Gpu.open(this.#runtime);
      this.#gpu = gpu;
      gpu.kernels.onCompiled = (compiled, asked) =>
        this.#onProgress(compiled === asked ? '' : `compiled ${compiled} of ${asked} kernels`);
      this.#scorers = new PairScorers(gpu);
      void gpu.device.lost.then((lost) => {
        if (lost.reason === 'destroyed' || this.#gpu !== gpu) return;
        this.#close();
        this.#onLost(lost.message);
      });
      const { vendor = '', architecture = '' } = gpu.device.adapterInfo ?? {};
      return {
        description: [gpu.deviceName, gpu.driver].filter((text) => text !== '').join(', '),
        vendor,
        architecture,
        isFallback: gpu.isCpu,
        maxBindingBytes: gpu.maxBindingBytes,
      };
    });
  }

  loadModel(slot: api.ModelSlot, source: api.ModelSource): Promise<api.ModelSummary> {
    return this.#inTurn(async () => {
      const gpu = this.#opened();
      const before = gpu.memory.current;
      const loaded = await this.#models.load(gpu, slot, source);
      const bytes = gpu.memory.current - before;
      await this.#freeSlot(slot);
      this.#models.set(slot, loaded);
      return summaryOf(slot, loaded, bytes);
    });
  }

  freeModel(slot: api.ModelSlot): Promise<void> {
    return this.#inTurn(() => this.#freeSlot(slot));
  }

  readPairs(name: string, file: Blob): Promise<readonly api.PairText[]> {
    return this.#inTurn(async () => {
      this.#runtime.files.add(name, file);
      try {
        return await readPairTexts(this.#runtime.files, name, this.#models.first?.tokenizer);
      } finally {
        await this.#runtime.files.remove(name);
      }
    });
  }

  score(lane: string, request: api.ScoreRequest): Promise<api.ScoredPair | undefined> {
    const call = ++this.#calls;
    this.#lanes.set(lane, call);
    return this.#inTurn(async () => {
      if (this.#lanes.get(lane) !== call) return undefined;
      return this.#score(request);
    });
  }

  async statistics(
    pairs: readonly api.PairText[],
    policy: api.ModelSlot,
    reference: api.ModelSlot,
    onRows: (rows: readonly api.PairStatistics[]) => boolean | Promise<boolean>,
  ): Promise<void> {
    const { groupSize } = PairScorers;
    for (let start = 0; start < pairs.length; start += groupSize) {
      const rows = await this.#inTurn(() => {
        this.#opened();
        const models = { policy: this.#models.get(policy), reference: this.#models.get(reference) };
        const names = { policy, reference };
        const group = pairs.slice(start, start + groupSize);
        return this.#pairScorers().statistics(names, models, group, start);
      });
      if (!(await onRows(rows))) return;
    }
  }

  generate(request: api.GenerateRequest, onText: (text: string) => void): Promise<string> {
    return this.#inTurn(async () => {
      const gpu = this.#opened();
      const { loaded, tokenizer } = this.#models.get(request.model);
      const prompt = tokenizer.encodePrompt(request.prompt);
      const { maxPositions } = loaded.config;
      if (prompt.length >= maxPositions) {
        throw new InputError(
          `The prompt has ${prompt.length} tokens, the model ${maxPositions} positions: nothing can follow. Shorten it.`,
        );
      }
      const ids: number[] = [];
      const text = () => tokenizer.decode(ids, { skipSpecial: true });
      await generateTokens(gpu, loaded.model, [prompt], {
        temperature: request.temperature,
        topK: 0,
        topP: 1,
        seed: request.seed,
        maxNewTokens: request.maxTokens,
        eosIds: tokenizer.eosIds,
        adapter: true,
        batchSize: 1,
        onToken(id) {
          ids.push(id);
          onText(text());
        },
      });
      return text();
    });
  }

  async methods(): Promise<readonly api.MethodSummary[]> {
    return methodSummaries();
  }

  playground(request: api.PlaygroundRequest): Promise<readonly api.PlaygroundCurve[]> {
    return this.#inTurn(() => playgroundCurves(this.#opened(), request));
  }

  lambda(request: api.LambdaRequest): Promise<readonly number[]> {
    return this.#inTurn(() => lambdaCurve(this.#opened(), request));
  }

  prepareTraining(request: api.TrainRequest, onProgress: (text: string) => void): Promise<void> {
    return this.#prepare(onProgress, async (gpu) => {
      const start = this.#models.get(request.start);
      (await this.#keeper)?.begin();
      this.#setTraining(await Training.start(gpu, this.#runtime.files, start, request, onProgress), start);
    });
  }

  async keptRun(): Promise<api.KeptRun | undefined> {
    const found = await (await this.#keeper)?.find();
    if (found === undefined) return undefined;
    const { request, step, metrics } = found;
    return { request, step, metrics };
  }

  continueTraining(onProgress: (text: string) => void): Promise<void> {
    return this.#prepare(onProgress, async (gpu) => {
      const keeper = await this.#keeper;
      const kept = await keeper?.find();
      if (keeper === undefined || kept === undefined) throw new InputError('No run is kept in this browser.');
      const { files } = this.#runtime;
      const { request, config } = kept;
      await keeper.restore(files, kept.step);
      const training = await Training.resume(gpu, files, request, config, onProgress);
      const { directory, adapter } = training.place;
      if (!this.#models.has(request.start)) {
        const [loaded, tokenizer] = [await loadStart(gpu, config), await loadTokenizer(files, directory)];
        this.#models.set(request.start, { loaded, tokenizer, directory, adapter });
      }
      this.#setTraining(training, this.#models.get(request.start));
    });
  }

  async train(onStep: (report: api.StepReport) => void): Promise<api.TrainState> {
    this.#isPaused = false;
    while (!this.#isPaused) {
      const report = await this.#inTurn(async () => (this.#isPaused ? undefined : this.#step(KEEP_EVERY)));
      if (report === undefined) break;
      onStep(report);
      if (this.#training?.isFinished) return 'finished';
      // Messages such as `pause` are handled as tasks of their own.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    if (this.#training === undefined) return 'idle';
    await this.#inTurn(() => this.#keep());
    return 'paused';
  }

  step(): Promise<api.StepReport> {
    return this.#inTurn(() => this.#step(1));
  }

  async pause(): Promise<void> {
    this.#isPaused = true;
    await this.#turn;
  }

  resetTraining(): Promise<void> {
    this.#isPaused = true;
    return this.#inTurn(async () => {
      await this.#endTraining();
      await (await this.#keeper)?.clear();
    });
  }

  exportRun(): Promise<readonly api.NamedFile[]> {
    return this.#inTurn(async () => {
      const training = this.#training;
      if (training === undefined || training.steps === 0)
        throw new InputError('There is no run to download yet. Train a step first.');
      return (await training.save()).map(({ path, file }) => ({ path: `${RUN}/${path}`, file }));
    });
  }

  exportPolicy(): Promise<readonly api.NamedFile[]> {
    return this.#inTurn(async () => {
      const gpu = this.#opened();
      const { loaded, directory } = this.#models.get(POLICY);
      const { files } = this.#runtime;
      await writeDirectory(files, EXPORTED, await trainedModelFiles(gpu, loaded));
      const named = await filesOf(files, EXPORTED);
      await files.remove(EXPORTED);
      if (loaded.lora === undefined) return named;
      const base = await filesOf(files, directory);
      const below = (folder: string) => (one: api.NamedFile) => ({ ...one, path: `${folder}/${one.path}` });
      return [...base.map(below('base')), ...named.map(below('adapter'))];
    });
  }

  /** Ends the device; `open` may be called again. */
  close(): Promise<void> {
    return this.#inTurn(async () => this.#close());
  }

  async onProgress(callback: (text: string) => void): Promise<void> {
    this.#onProgress = callback;
  }

  async onDeviceLost(callback: (reason: string) => void): Promise<void> {
    this.#onLost = callback;
  }

  async gpuBytes(): Promise<number> {
    return this.#gpu?.memory.current ?? 0;
  }

  /** Runs `task` when every call before it is done. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(async () => {
      const gpu = this.#gpu;
      try {
        return await task();
      } catch (error) {
        // What the device reports says more than what failed because of it.
        await new Promise((resolve) => setTimeout(resolve, 0));
        gpu?.throwIfFailed();
        throw error;
      }
    });
    this.#turn = result.catch(() => {});
    return result;
  }

  async #score(request: api.ScoreRequest): Promise<api.ScoredPair> {
    this.#opened();
    const policy = this.#models.get(request.policy);
    const reference = request.reference === undefined ? undefined : this.#models.get(request.reference);
    const objective = activate(request.method);
    if (reference === undefined && objective.needs.reference !== 'none')
      throw new InputError(`${objective.name} compares with a reference; choose one.`);
    return this.#pairScorers().score(request, { policy, reference }, objective);
  }

  /** Takes a step; the run is kept when its number of steps is a multiple of `keepEvery`, and at its end. */
  async #step(keepEvery: number): Promise<api.StepReport> {
    const training = this.#training;
    if (training === undefined) throw new InputError('There is no training run. Prepare one first.');
    const done = await training.step();
    const { watch, method, start } = training.request;
    const watched =
      watch && (await this.#score({ pair: watch, policy: POLICY, reference: start, method, details: false }));
    const isKept = (done.step % keepEvery === 0 || training.isFinished) && (await this.#keep());
    return { ...done, gpuBytes: this.#opened().memory.current, watched, isKept };
  }

  /** Keeps the run for a page that is reloaded. @returns whether there was room for it */
  async #keep(): Promise<boolean> {
    const [keeper, training] = [await this.#keeper, this.#training];
    if (keeper === undefined || training === undefined || training.steps === 0) return false;
    const { request, config, steps } = training;
    const files = await training.save();
    try {
      await keeper.keep(request, config, steps, files);
      return true;
    } catch {
      // Full, or taken away by the browser: the run goes on without.
      return false;
    }
  }

  /** Ends the run before, and opens another one while its progress is told. */
  #prepare(onProgress: (text: string) => void, open: (gpu: Gpu) => Promise<void>): Promise<void> {
    this.#isPaused = true;
    return this.#inTurn(async () => {
      const gpu = this.#opened();
      await this.#endTraining();
      const before = this.#onProgress;
      this.#onProgress = onProgress;
      try {
        await open(gpu);
      } finally {
        this.#onProgress = before;
      }
    });
  }

  #setTraining(training: Training, { tokenizer }: Slot): void {
    this.#training = training;
    this.#models.set(POLICY, { ...training.place, tokenizer, loaded: training.policy });
  }

  async #endTraining(): Promise<void> {
    const training = this.#training;
    this.#scorers?.forget(POLICY);
    this.#training = undefined;
    this.#models.forget(POLICY);
    await training?.close();
  }

  /** Ends a training run that needs the slot. */
  async #freeSlot(slot: string): Promise<void> {
    if (slot === POLICY || slot === this.#training?.request.start) await this.#endTraining();
    this.#scorers?.forget(slot);
    this.#models.free(slot);
  }

  /** Forgets the device and everything on it. */
  #close(): void {
    this.#isPaused = true;
    this.#training = undefined;
    this.#models.clear();
    this.#scorers = undefined;
    this.#gpu?.close();
    this.#gpu = undefined;
  }

  #opened(): Gpu {
    if (this.#gpu === undefined) throw new RunError('The engine is not open; the GPU may have been lost.');
    return this.#gpu;
  }

  #pairScorers(): PairScorers {
    if (this.#scorers === undefined) throw new RunError('The engine is not open.');
    return this.#scorers;
  }
}
