/**
 * A run that its caller drives one step at a time, with the files that `train` leaves: config.yaml, metrics.jsonl, TensorBoard
 * events, checkpoints and the model. It uses a device that others use too, as in a page.
 */
import { InputError } from '../errors.ts';
import { writeDirectory } from '../formats/directory-writer.ts';
import type { Gpu } from '../gpu/device.ts';
import type { LoadedModel } from '../models/loading/load.ts';
import { BestCheckpoint } from './best-checkpoint.ts';
import { Clock } from './clock.ts';
import type { TrainConfig } from './config.ts';
import type { Metrics } from './hooks.ts';
import { type PreparedRun, prepareRun } from './prepare-run.ts';
import { saveRun } from './run-checkpoint.ts';
import { RunLog } from './run-log.ts';
import { writeConfig } from './run-record.ts';
import { trainedModelFiles } from './saving.ts';

/** What one step gave. */
export interface SteppedReport {
  /** Optimizer steps done, 1-based. */
  readonly step: number;
  readonly metrics: Metrics;
  readonly tokensPerSecond: number;
}

export class SteppedRun {
  readonly #gpu: Gpu;
  readonly #config: TrainConfig;
  readonly #prepared: PreparedRun;
  readonly #log: RunLog;
  readonly #clock: Clock;

  private constructor(gpu: Gpu, config: TrainConfig, prepared: PreparedRun, log: RunLog) {
    this.#gpu = gpu;
    this.#config = config;
    this.#prepared = prepared;
    this.#log = log;
    const { trainer, checkpoint } = prepared;
    this.#clock = new Clock(trainer.step, trainer.totalSteps, checkpoint?.state.train_seconds);
  }

  /**
   * Loads model, data and reference and compiles every kernel.
   * @param resume continues from the newest checkpoint in the output directory
   * @param note told what is worth a line
   * @throws InputError for whatever is wrong with model, data or checkpoint
   */
  static async open(
    gpu: Gpu,
    config: TrainConfig,
    resume: boolean,
    note: (line: string) => void,
  ): Promise<SteppedRun> {
    const { files } = gpu.runtime;
    await files.makeDirectory(config.output_dir);
    const prepared = await prepareRun(gpu, config, note, { resume });
    try {
      await writeConfig(gpu, config, prepared.location);
      const log = await RunLog.open(files, config.output_dir, prepared.checkpoint?.state);
      await prepared.trainer.warmUp();
      return new SteppedRun(gpu, config, prepared, log);
    } catch (error) {
      await release(prepared);
      throw error;
    }
  }

  get policy(): LoadedModel {
    return this.#prepared.options.policy;
  }

  /** Steps done. */
  get step(): number {
    return this.#prepared.trainer.step;
  }

  get totalSteps(): number {
    return this.#prepared.trainer.totalSteps;
  }

  /** Takes a step and writes a line of metrics. @throws InputError when all steps are done */
  async takeStep(): Promise<SteppedReport> {
    const { trainer } = this.#prepared;
    if (this.step >= this.totalSteps)
      throw new InputError(`All ${this.totalSteps} steps are done. Reset the run to start again.`);
    const tokens = trainer.plan.tokensOf(trainer.step);
    const started = performance.now();
    const { step, metrics } = await trainer.runStep();
    const seconds = Math.max(1e-3, (performance.now() - started) / 1000);
    this.#clock.done(step, tokens);
    await this.#log.step(step, metrics, this.#clock, { isDue: true, everyStep: false });
    return { step, metrics, tokensPerSecond: tokens / seconds };
  }

  /** Writes a checkpoint from which the run can be continued. @returns its path */
  save(): Promise<string> {
    const { trainer, digests, companions, checkpoint } = this.#prepared;
    return saveRun(this.#gpu, this.#config, trainer, {
      position: this.#log.position,
      digests,
      best: new BestCheckpoint(this.#config.training, checkpoint?.state),
      seconds: this.#clock.seconds,
      companions,
      isWhole: true,
      // Whoever drives it evaluates, if anybody does.
      isEvaluationDue: false,
    });
  }

  /** Writes the model as it is now to OUTPUT_DIR/model. */
  async saveModel(): Promise<void> {
    const contents = await trainedModelFiles(this.#gpu, this.policy, this.#prepared.companions);
    await writeDirectory(this.#gpu.runtime.files, `${this.#config.output_dir}/model`, contents);
  }

  /** Frees model, reference and trainer. */
  async close(): Promise<void> {
    await this.#log.close();
    await release(this.#prepared);
  }
}

async function release({ trainer, options, close }: PreparedRun): Promise<void> {
  trainer.free();
  await close();
  options.policy.free();
}
