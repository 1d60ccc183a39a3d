/** `train`: a whole run from a configuration to files, as `prefgrad train CONFIG.yaml` makes it. */
import { detectRuntime } from '../runtime/index.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { type TrainConfigInput, trainConfigFrom } from '../train/config.ts';
import type { RunSummary, TrainHooks } from '../train/hooks.ts';
import { train as runTraining } from '../train/train.ts';

/** What may be given besides the configuration: hooks, every one of them optional, and where to run. */
export interface TrainOptions extends TrainHooks {
  /** true continues from the newest checkpoint in `output_dir`, a text from that checkpoint. */
  readonly resume?: boolean | string;
  /** Default: that of this process or page. */
  readonly runtime?: Runtime;
}

/**
 * Trains and writes model, checkpoints and metrics to `config.output_dir`.
 * @param config the keys of a configuration file (`prefgrad train --help` lists them)
 * @throws InputErrors with everything that is wrong with the configuration, RunError when the run fails on the way
 */
export async function train(config: TrainConfigInput, options: TrainOptions = {}): Promise<RunSummary> {
  const { resume, runtime, ...hooks } = options;
  return runTraining(runtime ?? (await detectRuntime()), trainConfigFrom(config), hooks, { resume });
}
