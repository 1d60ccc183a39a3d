/** A training run from configuration to files. */
import { InputError, RunError } from '../errors.ts';
import { latestCheckpoint } from '../formats/checkpoint.ts';
import { writeDirectory } from '../formats/directory-writer.ts';
import type { OutputFile } from '../formats/output-file.ts';
import { Gpu } from '../gpu/device.ts';
import { DeviceLostError } from '../gpu/open-device.ts';
import { fromFirst, onAnyRank } from '../runtime/ranks.ts';
import type { FileSystem, Runtime } from '../runtime/runtime.ts';
import { checkAlikeRanks } from './alike-ranks.ts';
import { BestCheckpoint } from './best-checkpoint.ts';
import { Clock } from './clock.ts';
import type { TrainConfig } from './config.ts';
import { removeEarlierRun, setModelAside } from './earlier-run.ts';
import { checkFirstStep } from './first-step.ts';
import { allHooks, type Metrics, type RunHooks, type RunSummary, type TrainHooks } from './hooks.ts';
import { NonFiniteError } from './non-finite-error.ts';
import { prepareRun } from './prepare-run.ts';
import { rankReports } from './rank-report.ts';
import { type RunDigests, restoreWeights, saveRun } from './run-checkpoint.ts';
import { RunLog } from './run-log.ts';
import { writeConfig, writeOutcome } from './run-record.ts';
import { SampleDivergence } from './sample-divergence.ts';
import { Samples } from './samples.ts';
import { trainedModelFiles } from './saving.ts';
import { TaskAccuracy } from './task-accuracy.ts';
import type { QueuedStep, Trainer, TrainerOptions } from './trainer.ts';
import { emptyBatchesLine } from './varied-tokens.ts';

export interface TrainOptions {
  /** true continues from the newest checkpoint in the output directory, a text from that checkpoint. */
  readonly resume?: string | boolean;
  /** A run that is in the output directory is replaced; its files go when nothing is wrong with this one. */
  readonly force?: boolean;
}

/** Runs a training job. @throws InputError before anything is trained, RunError when the run fails on the way. */
export async function train(
  runtime: Runtime,
  config: TrainConfig,
  hooks: TrainHooks = {},
  options: TrainOptions = {},
): Promise<RunSummary> {
  const { files } = runtime;
  const told = allHooks(hooks);
  runtime.ranks.limitWaits(config.training.ddp_timeout);
  await files.makeDirectory(config.output_dir);
  const unlock = await files.lock(`${config.output_dir}/.lock`);
  if (unlock === null) {
    throw new InputError(
      `${config.output_dir} is in use by another run. If none is running, remove ${config.output_dir}/.lock.`,
    );
  }
  try {
    // Its successor writes one only where rows are left out.
    if (options.force) await files.remove(`${config.output_dir}/dropped_rows.jsonl`);
    return await onDevice(runtime, config, told, options).catch(async (error: unknown) => {
      if (!(error instanceof DeviceLostError)) throw error;
      const latest = await latestCheckpoint(files, config.output_dir);
      if (latest === undefined) throw error;
      // The other ranks wait for this one in the middle of a step.
      if (runtime.ranks.size > 1)
        throw new RunError(`${error.message} Continue from ${latest.path} with --resume.`);
      told.note(`${error.message} Continuing from the last checkpoint, this once.`);
      return onDevice(runtime, config, told, { resume: true });
    });
  } finally {
    await unlock();
  }
}

/** @throws what the device reports, rather than what failed because of it. */
async function onDevice(
  runtime: Runtime,
  config: TrainConfig,
  hooks: RunHooks,
  options: TrainOptions,
): Promise<RunSummary> {
  const gpu = await Gpu.open(runtime, { device: config.device });
  try {
    await checkAlikeRanks(gpu);
    return await prepareAndRun(gpu, config, hooks, options);
  } catch (error) {
    // The loss of a device is announced a moment after the first call that fails for it.
    await nextTurn();
    gpu.throwIfFailed();
    throw error;
  } finally {
    gpu.close();
  }
}

/** A run whose parts are all there. */
interface Run {
  readonly config: TrainConfig;
  readonly options: TrainerOptions;
  readonly trainer: Trainer;
  readonly samples: Samples;
  readonly tasks: TaskAccuracy;
  readonly divergence: SampleDivergence;
  readonly log: RunLog;
  /** For checkpoints. */
  readonly digests: RunDigests;
  readonly clock: Clock;
  readonly best: BestCheckpoint;
  /** Saved with the model, as they were when the run began. */
  readonly companions: readonly OutputFile[];
  readonly hooks: RunHooks;
  /** The checkpoint was written at a step whose evaluation was still to come. */
  readonly isEvaluationDue: boolean;
  /** In milliseconds. */
  readonly started: number;
}

async function prepareAndRun(
  gpu: Gpu,
  config: TrainConfig,
  hooks: RunHooks,
  { resume, force = false }: TrainOptions,
): Promise<RunSummary> {
  const started = performance.now();
  const prepared = await prepareRun(gpu, config, hooks.note, { resume, force });
  const { options, trainer, tokenizer, companions, checkpoint, digests } = prepared;
  try {
    const tasks = await TaskAccuracy.open(gpu, options.policy, tokenizer, config);
    const { files } = gpu.runtime;
    if (force) await removeEarlierRun(files, config.output_dir);
    if (checkpoint !== undefined) await setModelAside(files, config.output_dir, hooks.note);
    await writeConfig(gpu, config, prepared.location);
    const log = await RunLog.open(files, config.output_dir, checkpoint?.state);
    const clock = new Clock(trainer.step, trainer.totalSteps, checkpoint?.state.train_seconds);
    const best = new BestCheckpoint(config.training, checkpoint?.state);
    const samples = new Samples(gpu, options.policy, tokenizer, options.eval ?? [], config.seed);
    const divergence = new SampleDivergence(options, tokenizer);
    try {
      const measures = { trainer, samples, tasks, divergence };
      const parts = { config, options, log, digests, clock, best, hooks, started };
      const isEvaluationDue = checkpoint?.state.evaluation_due ?? false;
      const summary = await run({ ...parts, ...measures, companions, isEvaluationDue });
      await log.close();
      await fromFirst(gpu.runtime.ranks, () => checkStillThere(files, config));
      await writeOutcome(files, config.output_dir, summary);
      hooks.finish(summary);
      return summary;
    } catch (error) {
      // What was written stays; a log that cannot be closed any more is not what the user must hear of.
      await log.close().catch(() => {});
      throw error;
    } finally {
      divergence.free();
    }
  } finally {
    await prepared.close();
  }
}

/** Evaluates, trains, evaluates again and writes the model. */
async function run(run: Run): Promise<RunSummary> {
  const { config, options, trainer, samples, hooks, started } = run;
  const { gpu, policy } = options;
  notePlan(run);
  const { predictedPeakBytes } = trainer;
  gpu.memory.resetPeak();
  await trainer.warmUp();
  const firstStep = trainer.step;
  hooks.start({
    totalSteps: trainer.totalSteps,
    firstStep: trainer.step,
    device: `${gpu.deviceName} (${gpu.driver})`,
    predictedPeakBytes,
    ranks: await rankReports(gpu, trainer, predictedPeakBytes, firstStep),
  });
  const before = trainer.step === 0 ? await evaluate(run, EVERYTHING) : undefined;
  await samples.drawBefore();

  const begun = performance.now();
  const isInterrupted = await takeSteps(run);
  const stepSeconds = (performance.now() - begun) / 1000;

  const checkpoint = isInterrupted
    ? await save(run, { isWhole: true, isEvaluationDue: dueEvaluation(run) !== undefined })
    : undefined;
  const after = isInterrupted ? undefined : await evaluateLast(run);
  const compared = isInterrupted ? [] : await samples.compare();
  const files = [
    { what: 'metrics', path: `${config.output_dir}/metrics.jsonl` },
    { what: 'configuration as it was run', path: `${config.output_dir}/config.yaml` },
    { what: 'TensorBoard events', path: config.output_dir },
  ];
  if (!isInterrupted) {
    const path = `${config.output_dir}/model`;
    await writeDirectory(gpu.runtime.files, path, await trainedModelFiles(gpu, policy, run.companions));
    files.unshift({ what: policy.lora === undefined ? 'model' : 'PEFT adapter', path });
  }
  return {
    outcome: isInterrupted ? 'interrupted' : 'finished',
    step: trainer.step,
    totalSteps: trainer.totalSteps,
    seconds: (performance.now() - started) / 1000,
    compiled: gpu.compiled,
    best: run.best.state.best_model_checkpoint ?? undefined,
    predictedPeakBytes,
    peakBytes: gpu.memory.peak,
    ranks: await rankReports(gpu, trainer, predictedPeakBytes, firstStep),
    stepSeconds,
    residentBytes: gpu.isCpu ? gpu.runtime.residentBytes() : undefined,
    before,
    after,
    samples: compared,
    checkpoint,
    files,
  };
}

/** The loop. @returns whether it was stopped before the last step */
async function takeSteps(run: Run): Promise<boolean> {
  const { trainer, hooks, options, best } = run;
  const { ranks } = options.gpu.runtime;
  const { save_steps } = options.training;
  if (run.isEvaluationDue && (await evaluateOnTheWay(run, dueEvaluation(run)))) await save(run);
  /** Its numbers are still on their way. */
  let queued: QueuedStep | undefined;
  let isInterrupted = false;
  while (trainer.step < trainer.totalSteps && !isInterrupted && !best.isExhausted) {
    const before = queued;
    queued = await trainer.enqueueStep();
    if (before !== undefined) await report(run, before);
    isInterrupted = await onAnyRank(ranks, hooks.shouldStop());
    const due = dueEvaluation(run);
    if (isInterrupted || due !== undefined || isDue(save_steps, trainer)) {
      await report(run, queued);
      queued = undefined;
    }
    if (!isInterrupted) {
      const isBest = await evaluateOnTheWay(run, due);
      if (isDue(save_steps, trainer) || isBest) await save(run);
    }
    await nextTurn();
  }
  if (queued !== undefined) await report(run, queued);
  await options.gpu.settle();
  return isInterrupted;
}

/** Is the step one of those between which there are `every` steps, or that share of the run? The end is dealt with by itself. */
function isDue(every: number | undefined, { step, totalSteps }: Trainer): boolean {
  return every !== undefined && step % wholeSteps(every, totalSteps) === 0 && step < totalSteps;
}

/** Waits for a step. One that is not finite ends the run, with what was there before it in a checkpoint. */
async function report(run: Run, queued: QueuedStep): Promise<void> {
  const { config, options, trainer, log, clock, hooks } = run;
  const { step, metrics } = await queued.report.catch(async (error: unknown) => {
    if (!(error instanceof NonFiniteError)) throw error;
    trainer.step = error.step - 1;
    throw new RunError(`${error.message} What was there before it: ${await save(run, { isWhole: true })}`);
  });
  const isReferencePolicy =
    options.reference?.form === 'live' &&
    config.reference.model === undefined &&
    config.reference.adapter === undefined;
  if (step === 1) checkFirstStep(options.objective, isReferencePolicy, metrics);
  clock.done(step, trainer.plan.tokensOf(step - 1));
  const { logging_steps, log_every_step: everyStep } = options.training;
  const isDue = step % wholeSteps(logging_steps, trainer.totalSteps) === 0 || step === trainer.totalSteps;
  const logged = await log.step(step, metrics, clock, { isDue, everyStep });
  const { tokensPerSecond, secondsLeft } = clock;
  hooks.step({ step, metrics, tokensPerSecond, secondsLeft, logged });
}

/** Steps as they are, a share of the run rounded up, as transformers does. */
function wholeSteps(stepsOrShare: number, totalSteps: number): number {
  return stepsOrShare < 1 ? Math.ceil(stepsOrShare * totalSteps) : stepsOrShare;
}

/** What an evaluation is over. */
interface Evaluated {
  /** The held-out rows, and the policy's own answers to their prompts. */
  readonly rows: boolean;
  readonly tasks: boolean;
}

const EVERYTHING: Evaluated = { rows: true, tasks: true };

/** What is to be evaluated after this step; undefined for nothing. */
function dueEvaluation({ options, trainer }: Run): Evaluated | undefined {
  const { eval_steps, eval_tasks_steps = eval_steps } = options.training;
  const due = { rows: isDue(eval_steps, trainer), tasks: isDue(eval_tasks_steps, trainer) };
  return due.rows || due.tasks ? due : undefined;
}

/** @param step - of the model that is evaluated */
async function measure(
  { options, trainer, tasks, divergence }: Run,
  what: Evaluated,
  step = trainer.step,
): Promise<Metrics> {
  const hasRows = what.rows && options.eval?.length !== 0;
  return {
    ...(hasRows && { ...(await trainer.evaluate()), ...(await divergence.measure()) }),
    ...(what.tasks && (await tasks.measure(step))),
  };
}

async function evaluate(run: Run, what: Evaluated): Promise<Metrics | undefined> {
  const { trainer, log, hooks } = run;
  const metrics = await measure(run, what);
  if (Object.keys(metrics).length === 0) return undefined;
  await log.write(trainer.step, metrics);
  hooks.evaluated(metrics, trainer.step);
  return metrics;
}

/** Evaluates between steps. @returns whether the model is the best so far, and is to be kept */
async function evaluateOnTheWay(run: Run, what: Evaluated | undefined): Promise<boolean> {
  if (what === undefined) return false;
  const { best, trainer, hooks, config } = run;
  const metrics = await evaluate(run, what);
  const isWhole = what.rows && what.tasks;
  if (metrics === undefined || !best.isWatching || !(isWhole || best.isIn(metrics))) return false;
  const isBest = best.evaluated(trainer.step, metrics);
  if (best.isExhausted) hooks.note(`Nothing better came after ${best.summary}: this run ends early.`);
  const { metric_for_best_model, load_best_model_at_end } = config.training;
  return isBest && (metric_for_best_model !== undefined || load_best_model_at_end);
}

/**
 * Evaluates the model that is written: the last one, or where the configuration wants it the best one, which is put back.
 * After an early end the last step was evaluated on the way, and is not logged again.
 */
async function evaluateLast(run: Run): Promise<Metrics | undefined> {
  const { best, trainer, hooks, config, options } = run;
  const logged = dueEvaluation(run);
  const metrics = await evaluate(run, { rows: !logged?.rows, tasks: !logged?.tasks });
  if (metrics !== undefined && best.isWatching && (logged === undefined || best.isIn(metrics)))
    best.evaluated(trainer.step, metrics);
  const { best_model_checkpoint: path, best_global_step: bestStep } = best.state;
  if (config.training.load_best_model_at_end && path !== null && bestStep !== null) {
    await restoreWeights(options.gpu, trainer, path);
    hooks.note(`The best model is written, not the last one: ${best.summary} (${path}).`);
    return measure(run, EVERYTHING, bestStep);
  }
  return logged === undefined ? metrics : measure(run, EVERYTHING);
}

/** @param how `isWhole` also with `save_only_model`: a run that is cut off is to be continued */
async function save(
  run: Run,
  { isWhole = !run.config.training.save_only_model, isEvaluationDue = false } = {},
): Promise<string> {
  const { config, options, trainer, log, clock, digests, best, companions, hooks } = run;
  const { position } = log;
  const { seconds } = clock;
  const path = await saveRun(options.gpu, config, trainer, {
    position,
    digests,
    best,
    seconds,
    companions,
    isWhole,
    isEvaluationDue,
  });
  hooks.checkpoint(path);
  return path;
}

/** @throws RunError where somebody removed the output directory during the run, and metrics.jsonl with it */
async function checkStillThere(files: FileSystem, { output_dir }: TrainConfig): Promise<void> {
  if (await files.exists(`${output_dir}/metrics.jsonl`)) return;
  throw new RunError(
    `${output_dir} was removed while the run went on: metrics and earlier checkpoints are lost. What was written after ` +
      'that is there.',
  );
}

/** Says what was planned, and what is left out. */
function notePlan({ options, trainer, hooks }: Run): void {
  const { train: rows, policy, training, reference } = options;
  const { plan, memoryPlan } = trainer;
  const empty = `${(100 * plan.emptyShare).toFixed(1)}% of token slots empty`;
  const { ranks } = options.gpu.runtime;
  if (ranks.size > 1)
    hooks.note(
      `${ranks.size} ranks share every optimizer step: it has per_device_train_batch_size x gradient_accumulation_steps = ` +
        `${training.per_device_train_batch_size * training.gradient_accumulation_steps} rows in all, not on each rank.`,
    );
  hooks.note(`${rows.length} rows, ${plan.totalSteps} steps, ${plan.buckets.size} shape buckets, ${empty}.`);
  for (const warning of options.objective.warnings(plan.totalSteps)) hooks.note(`Warning: ${warning}`);
  const emptyBatches = emptyBatchesLine(rows, plan);
  if (emptyBatches !== undefined) hooks.note(emptyBatches);
  if (training.memory_budget !== undefined) {
    const moments =
      memoryPlan.moments === 'host' ? ", and the optimizer's moments are kept in host memory" : '';
    hooks.note(
      `${memoryPlan.recomputedBlocks} of ${policy.config.layers} blocks are recomputed in the backward pass${moments}.`,
    );
  }
  if (options.eval?.length !== 0 && reference?.form === 'logps')
    hooks.note('No eval_kl_chosen: it needs the reference beside the policy, see reference.mode: in_step.');
}

/** Lets a page or a signal handler have its turn between steps. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
