/** A training run from configuration to files. Reads straight down. */
import { upload } from '../autograd/tensor.ts';
import { loadRunData } from '../data/dataset.ts';
import { carryWeights, type Example } from '../data/examples.ts';
import { loadTokenizer } from '../data/load-tokenizer.ts';
import type { DroppedRow } from '../data/prepare.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { InputError, InputErrors, RunError } from '../errors.ts';
import { latestCheckpoint, rotateCheckpoints, saveCheckpoint } from '../formats/checkpoint.ts';
import { writeDirectory } from '../formats/directory-writer.ts';
import { readJson } from '../formats/json-file.ts';
import { TensorBoardWriter } from '../formats/tensorboard.ts';
import { generate } from '../generate/generator.ts';
import { DeviceLostError, Gpu } from '../gpu/device.ts';
import { type LoadedModel, type LoadOptions, loadModel } from '../models/loading/load.ts';
import { type ActiveObjective, activate } from '../objectives/choice.ts';
import type { FileSink, Runtime } from '../runtime/runtime.ts';
import type { TrainConfig } from './config.ts';
import { datasetSettings } from './dataset-settings.ts';
import { checkFirstStep } from './first-step.ts';
import type { Metrics, RunSummary, Sample, TrainHooks } from './hooks.ts';
import { chooseKernels, type MeasuredChoices } from './kernel-choices.ts';
import { prepareReference } from './reference.ts';
import { changedKeys } from './same-run.ts';
import { optimizerFile, readState, restoreOptimizer, trainedModelFiles, trainerStateFile } from './saving.ts';
import { NonFiniteError, type StepReport, Trainer, type TrainerParts } from './trainer.ts';
import { emptyBatchesLine, variedLine } from './varied-tokens.ts';

export interface TrainOptions {
  /** true continues from the newest checkpoint in the output directory, a text from that checkpoint. */
  readonly resume?: string | boolean;
}

/** Held-out prompts that are continued before and after training, to look at. */
const SAMPLES = 2;
const SAMPLE_TOKENS = 80;

/** Runs a training job. @throws InputError before anything is trained, RunError when the run fails on the way. */
export async function train(
  runtime: Runtime,
  config: TrainConfig,
  hooks: TrainHooks,
  options: TrainOptions = {},
): Promise<RunSummary> {
  const { files } = runtime;
  const objective = activate(config.objective);
  await files.makeDirectory(config.output_dir);
  const unlock = await files.lock(`${config.output_dir}/.lock`);
  if (unlock === null) {
    throw new InputError(
      `${config.output_dir} is in use by another run. If none is running, remove ${config.output_dir}/.lock.`,
    );
  }
  try {
    return await runOnce(runtime, config, objective, hooks, options).catch(async (error: unknown) => {
      if (!(error instanceof DeviceLostError)) throw error;
      if ((await latestCheckpoint(files, config.output_dir)) === undefined) throw error;
      hooks.note(`${error.message} Continuing from the last checkpoint, this once.`);
      return runOnce(runtime, config, objective, hooks, { resume: true });
    });
  } finally {
    await unlock();
  }
}

/** @throws what the device reports, rather than what failed because of it. */
async function runOnce(
  runtime: Runtime,
  config: TrainConfig,
  objective: ActiveObjective,
  hooks: TrainHooks,
  options: TrainOptions,
): Promise<RunSummary> {
  const gpu = await Gpu.open(runtime, { device: config.device });
  try {
    return await runOn(gpu, config, objective, hooks, options);
  } catch (error) {
    // The loss of a device is announced a moment after the first call that fails for it.
    await new Promise((resolve) => setTimeout(resolve, 0));
    gpu.throwIfFailed();
    throw error;
  } finally {
    gpu.close();
  }
}

async function runOn(
  gpu: Gpu,
  config: TrainConfig,
  asked: ActiveObjective,
  hooks: TrainHooks,
  options: TrainOptions,
): Promise<RunSummary> {
  const { files } = gpu.runtime;
  const started = Date.now();
  const tokenizer = await loadTokenizer(files, config.model.path, config.data.chat_template);
  const policy = await loadModel(gpu, config.model.path, policyOptions(config));
  const data = await loadData(gpu, config, asked, tokenizer, policy, hooks);
  const dataWeights = carryWeights(data.train) || carryWeights(data.eval);
  const objective = activate({ ...config.objective, dataWeights });
  const reference = await prepareReference(gpu, config, objective, policy, data, hooks.note);
  const parts: TrainerParts = { gpu, config, objective, policy, ...reference, ...data };
  /** The run's log, while it is open. */
  let log: RunLog | undefined;
  try {
    return await runWith(parts, tokenizer, hooks, options, started, (opened) => {
      log = opened;
    });
  } catch (error) {
    // What was written stays; a log that cannot be closed any more is not what the user must hear of.
    await log?.close().catch(() => {});
    throw error;
  } finally {
    await reference.referenceHidden?.train.close();
    await reference.referenceHidden?.eval?.close();
  }
}

async function runWith(
  parts: TrainerParts,
  tokenizer: Tokenizer,
  hooks: TrainHooks,
  options: TrainOptions,
  started: number,
  onLog: (log: RunLog) => void,
): Promise<RunSummary> {
  const { gpu, config, policy } = parts;
  const { files } = gpu.runtime;
  const checkpoint = await findCheckpoint(gpu, config, options.resume);
  await chooseKernels(parts, checkpoint?.state.kernel_choices as MeasuredChoices | undefined, hooks.note);
  const trainer = await Trainer.open(parts, hooks.note);

  const log = await openLog(gpu, config, trainer, checkpoint);
  onLog(log);
  hooks.note(
    `${parts.train.length} rows, ${trainer.totalSteps} steps, ${trainer.bucketCount} shape buckets, ${(100 * trainer.emptyShare).toFixed(1)}% of token slots empty.`,
  );
  const emptyBatches = emptyBatchesLine(parts.train, trainer.plan);
  if (emptyBatches !== undefined) hooks.note(emptyBatches);
  if (config.training.memory_budget !== undefined)
    hooks.note(
      `${trainer.memoryPlan.recomputedBlocks} of ${policy.config.layers} blocks are recomputed in the backward pass` +
        (trainer.memoryPlan.moments === 'host'
          ? ", and the optimizer's moments are kept in host memory."
          : '.'),
    );
  if (parts.eval.length > 0 && parts.referenceLogps !== undefined)
    hooks.note('No eval_kl: it needs the reference beside the policy, see reference.mode: in_step.');
  const predictedPeakBytes = trainer.predictedPeakBytes;
  gpu.memory.resetPeak();
  await trainer.warmUp();
  hooks.start({
    totalSteps: trainer.totalSteps,
    firstStep: trainer.step,
    device: `${gpu.adapterName} (${gpu.driver})`,
    predictedPeakBytes,
  });

  const evaluate = async (): Promise<Metrics | undefined> => {
    if (parts.eval.length === 0) return undefined;
    const metrics = await trainer.evaluate();
    await log.write(trainer.step, metrics);
    hooks.evaluated(metrics, trainer.step);
    return metrics;
  };
  /** Saved with the model, so that everybody who uses it renders conversations as it has seen them. */
  const template = config.data.chat_template === undefined ? undefined : tokenizer.chatTemplate;
  const save = async (): Promise<string> => {
    const path = await saveRun(gpu, config, trainer, log, template);
    hooks.checkpoint(path);
    return path;
  };
  const prompts = parts.eval.slice(0, SAMPLES).map((e) => Array.from(e.promptIds));
  const before = trainer.step === 0 ? await evaluate() : undefined;
  const samplesBefore = await continuations(gpu, policy, tokenizer, prompts, config.seed);

  const { training } = config;
  const clock = new Clock(trainer.step, trainer.totalSteps);
  const reported = async (report: StepReport | undefined) => {
    if (report === undefined) return;
    if (report.step === 1) checkFirstStep(parts, report.metrics);
    clock.done(report.step, tokensOf(trainer, report.step - 1));
    const isLogged = report.step % training.logging_steps === 0 || report.step === trainer.totalSteps;
    if (isLogged) await log.write(report.step, report.metrics);
    hooks.step({
      ...report,
      tokensPerSecond: clock.tokensPerSecond,
      secondsLeft: clock.secondsLeft,
      log: isLogged,
    });
  };
  /** Waits for a step. One that is not finite ends the run, with what was there before it in a checkpoint. */
  const settled = async (step: () => Promise<StepReport | undefined>) => {
    try {
      await reported(await step());
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      trainer.step = error.step - 1;
      throw new RunError(`${error.message} What was there before it: ${await save()}`);
    }
  };
  let interrupted = false;
  while (trainer.step < trainer.totalSteps && !interrupted) {
    await settled(() => trainer.runStep());
    interrupted = hooks.shouldStop();
    const isDue = (every: number | undefined) =>
      every !== undefined && trainer.step % every === 0 && trainer.step < trainer.totalSteps;
    if (interrupted || isDue(training.eval_steps) || isDue(training.save_steps))
      await settled(() => trainer.flush());
    if (isDue(training.eval_steps) && !interrupted) await evaluate();
    if (isDue(training.save_steps) && !interrupted) await save();
    // Lets a page or a signal handler have its turn between steps.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await settled(() => trainer.flush());
  await gpu.settle();
  const checkpointPath = interrupted ? await save() : undefined;
  const after = interrupted ? undefined : await evaluate();
  const samplesAfter = interrupted ? [] : await continuations(gpu, policy, tokenizer, prompts, config.seed);
  const outputs = [
    { what: 'metrics', path: `${config.output_dir}/metrics.jsonl` },
    { what: 'TensorBoard events', path: config.output_dir },
  ];
  if (!interrupted) {
    const path = `${config.output_dir}/model`;
    await writeDirectory(files, path, await trainedModelFiles(gpu, policy, template));
    outputs.unshift({ what: policy.lora === undefined ? 'model' : 'PEFT adapter', path });
  }
  await log.close();
  const samples: Sample[] = samplesAfter.map((text, i) => ({
    prompt: tokenizer.decode(prompts[i], { atStart: true, skipSpecial: true }),
    before: samplesBefore[i],
    after: text,
  }));
  const summary: RunSummary = {
    outcome: interrupted ? 'interrupted' : 'finished',
    step: trainer.step,
    totalSteps: trainer.totalSteps,
    seconds: (Date.now() - started) / 1000,
    predictedPeakBytes,
    peakBytes: gpu.memory.peak,
    residentBytes: gpu.isCpu ? gpu.runtime.residentBytes() : undefined,
    before,
    after,
    samples,
    checkpoint: checkpointPath,
    files: outputs,
  };
  hooks.finish(summary);
  return summary;
}

export function policyOptions({ model, lora, data, seed }: TrainConfig): LoadOptions {
  const train =
    lora === undefined
      ? ('full' as const)
      : { r: lora.r, alpha: lora.lora_alpha, targetModules: lora.target_modules };
  const quantize = model.load_in_4bit ? 'nf4' : model.load_in_8bit ? 'i8' : undefined;
  return { train, init: model.init, dtype: model.dtype, quantize, positions: data.max_length, seed };
}

async function loadData(
  gpu: Gpu,
  config: TrainConfig,
  objective: ActiveObjective,
  tokenizer: Tokenizer,
  policy: LoadedModel,
  hooks: TrainHooks,
): Promise<{ train: Example[]; eval: Example[] }> {
  const { data } = config;
  if (data.max_length > policy.config.maxPositions) {
    throw new InputError(
      `data.max_length: ${data.max_length} is more than the ${policy.config.maxPositions} positions of ${config.model.path}.`,
    );
  }
  const { files } = gpu.runtime;
  const dropped: DroppedRow[] = [];
  const loaded = await loadRunData({
    ...datasetSettings(config, objective.needs),
    files,
    tokenizer,
    modelVocabSize: policy.config.vocabSize,
    train: data.train,
    eval: data.eval,
    evalFraction: data.eval_fraction,
    shuffle: data.shuffle,
    seed: config.seed,
    note: hooks.note,
    onDropped: (row) => dropped.push(row),
  });
  if (dropped.length > 0) {
    const path = `${config.output_dir}/dropped_rows.jsonl`;
    const sink = await files.create(path);
    await sink.write(dropped.map((row) => `${JSON.stringify(row)}\n`).join(''));
    await sink.close();
    hooks.note(`${dropped.length} rows are left out; ${path} says which and why.`);
  }
  const varied = variedLine(loaded.train);
  if (varied !== undefined) hooks.note(varied);
  return loaded;
}

interface FoundCheckpoint {
  readonly path: string;
  readonly state: Readonly<Record<string, unknown>>;
}

async function findCheckpoint(
  gpu: Gpu,
  config: TrainConfig,
  resume: TrainOptions['resume'],
): Promise<FoundCheckpoint | undefined> {
  if (resume === undefined || resume === false) return undefined;
  const path =
    typeof resume === 'string'
      ? resume
      : (await latestCheckpoint(gpu.runtime.files, config.output_dir))?.path;
  if (path === undefined)
    throw new InputError(`${config.output_dir} holds no checkpoint to resume from. Start without --resume.`);
  const state = await readJson(gpu.runtime.files, `${path}/trainer_state.json`);
  const changed = changedKeys(state.config, config);
  if (changed.length > 0)
    throw new InputErrors(`${path} belongs to another run; start that one anew:`, changed);
  return { path, state };
}

/** metrics.jsonl and TensorBoard events, continued where the checkpoint says. */
interface RunLog {
  write(step: number, metrics: Metrics): Promise<void>;
  readonly metricsOffset: number;
  readonly tensorboard: { readonly file: string; readonly offset: number };
  close(): Promise<void>;
}

async function openLog(
  gpu: Gpu,
  config: TrainConfig,
  trainer: Trainer,
  checkpoint: FoundCheckpoint | undefined,
): Promise<RunLog> {
  const { files } = gpu.runtime;
  const path = `${config.output_dir}/metrics.jsonl`;
  let offset = 0;
  let resume: RunLog['tensorboard'] | undefined;
  if (checkpoint !== undefined) {
    const { state } = checkpoint;
    await restoreOptimizer(gpu, checkpoint.path, trainer.checkpointTensors());
    for (const [name, value] of Object.entries(state.objective_state as Record<string, number>)) {
      upload(gpu, trainer.objectiveState[name], new Float32Array([value]));
    }
    trainer.step = Number(state.global_step);
    offset = Number(state.metrics_offset);
    resume = state.tensorboard as RunLog['tensorboard'];
    await trainer.policy.roundMasters();
  }
  const sink: FileSink = offset > 0 ? await files.append(path, offset) : await files.create(path);
  const board = await TensorBoardWriter.open(files, config.output_dir, { resume });
  return {
    async write(step, metrics) {
      const line = `${JSON.stringify({ step, ...metrics })}\n`;
      await sink.write(line);
      offset += new TextEncoder().encode(line).length;
      await board.scalars(step, metrics);
    },
    get metricsOffset() {
      return offset;
    },
    get tensorboard() {
      return { file: board.file, offset: board.offset };
    },
    async close() {
      await sink.close();
      await board.close();
    },
  };
}

async function saveRun(
  gpu: Gpu,
  config: TrainConfig,
  trainer: Trainer,
  log: RunLog,
  template: string | undefined,
): Promise<string> {
  const { files } = gpu.runtime;
  const state = {
    global_step: trainer.step,
    metrics_offset: log.metricsOffset,
    tensorboard: log.tensorboard,
    objective_state: await readState(gpu, trainer.objectiveState),
    kernel_choices: gpu.choices.toRecord(),
    config,
  };
  const contents = [
    ...(await trainedModelFiles(gpu, trainer.policy, template)),
    optimizerFile(gpu, trainer.checkpointTensors()),
    trainerStateFile(state),
  ];
  const path = await saveCheckpoint(files, config.output_dir, trainer.step, contents);
  const limit = config.training.save_total_limit;
  if (limit !== undefined) await rotateCheckpoints(files, config.output_dir, limit);
  return path;
}

async function continuations(
  gpu: Gpu,
  policy: LoadedModel,
  tokenizer: Tokenizer,
  prompts: readonly number[][],
  seed: number,
): Promise<string[]> {
  if (prompts.length === 0) return [];
  const results = await generate(gpu, policy.model, prompts, {
    temperature: 0.8,
    topK: 0,
    topP: 1,
    seed,
    maxNewTokens: SAMPLE_TOKENS,
    eosIds: tokenizer.eosIds,
    adapter: true,
    batchSize: prompts.length,
  });
  return results.map((ids) => tokenizer.decode(ids, { skipSpecial: true }));
}

function tokensOf(trainer: Trainer, step: number): number {
  return trainer.plan.microBatchesOf(step).reduce((n, b) => n + trainer.plan.shapeOf(b).tokens, 0);
}

/** Throughput and time left, from the steps since this process began. */
class Clock {
  readonly #start = Date.now();
  readonly #first: number;
  readonly #total: number;
  #step: number;
  #tokens = 0;

  constructor(first: number, total: number) {
    this.#first = first;
    this.#step = first;
    this.#total = total;
  }

  done(step: number, tokens: number): void {
    this.#step = step;
    this.#tokens += tokens;
  }

  get tokensPerSecond(): number {
    return this.#tokens / this.#seconds;
  }

  get secondsLeft(): number {
    return (this.#seconds / Math.max(1, this.#step - this.#first)) * (this.#total - this.#step);
  }

  get #seconds(): number {
    return Math.max(1e-3, (Date.now() - this.#start) / 1000);
  }
}
