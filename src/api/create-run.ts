/**
 * A training run that its caller drives, one optimizer step at a time:
 *
 *   const run = await createRun({ model: 'Qwen2.5-0.5B-Instruct', data: 'pairs.jsonl', objective: 'dpo' });
 *   for await (const { step, metrics } of run) console.log(step, metrics.loss);
 *   await run.save('tuned');
 *   await run.close();
 */
import { writeDirectory } from '../formats/directory-writer.ts';
import { Gpu } from '../gpu/device.ts';
import { detectRuntime } from '../runtime/index.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { type TrainConfigInput, trainConfigFrom } from '../train/config.ts';
import type { Metrics } from '../train/hooks.ts';
import { prepareRun } from '../train/prepare-run.ts';
import { trainedModelFiles } from '../train/saving.ts';

/** The keys of a configuration file, of which three must be given; a path is short for a group that has one. */
export interface RunOptions extends Omit<TrainConfigInput, 'model' | 'data' | 'objective' | 'output_dir'> {
  /** Model directory, or the group `model`. */
  readonly model: string | TrainConfigInput['model'];
  /** Rows to train on: a file, a pattern, a data set of the hub, or the group `data`. */
  readonly data: string | TrainConfigInput['data'];
  /** The name of a method, or the group `objective`. */
  readonly objective: string | TrainConfigInput['objective'];
  /** Where the reference's log-probs are cached and dropped rows are listed. Default 'trainer_output'. */
  readonly output_dir?: string;
  /** Default: that of this process or page. */
  readonly runtime?: Runtime;
  /** Told what is worth a line: rows dropped, the reference computed or found. */
  readonly note?: (line: string) => void;
}

/** What one optimizer step gave. */
export interface RunStep {
  /** Optimizer steps done, 1-based. */
  readonly step: number;
  /** By their TRL names: loss, rewards/margins, grad_norm, learning_rate, ... */
  readonly metrics: Metrics;
}

/** A run; iterating takes its steps, and goes on where it was left. */
export interface Run extends AsyncIterable<RunStep> {
  readonly totalSteps: number;
  /** Steps done. */
  readonly step: number;
  readonly predictedPeakBytes: number;
  /** Means over the evaluation rows, named `eval_...`; none without such rows. */
  evaluate(): Promise<Metrics>;
  /** Writes the model as it is now: a model directory, or a PEFT adapter with LoRA. */
  save(directory: string): Promise<void>;
  /** Frees the GPU. */
  close(): Promise<void>;
}

/** Loads model, data and reference and compiles every kernel. @throws InputErrors with everything that is wrong */
export async function createRun(options: RunOptions): Promise<Run> {
  const { runtime = await detectRuntime(), note = () => {}, ...given } = options;
  const config = trainConfigFrom({
    output_dir: 'trainer_output',
    ...given,
    model: typeof given.model === 'string' ? { path: given.model } : given.model,
    data: typeof given.data === 'string' ? { train: given.data } : given.data,
  });
  await runtime.files.makeDirectory(config.output_dir);
  const gpu = await Gpu.open(runtime, { device: config.device });
  try {
    const { trainer, options: parts, companions, close } = await prepareRun(gpu, config, note);
    await trainer.warmUp();
    return {
      totalSteps: trainer.totalSteps,
      get step() {
        return trainer.step;
      },
      predictedPeakBytes: trainer.predictedPeakBytes,
      evaluate: async () => (parts.eval?.length === 0 ? {} : trainer.evaluate()),
      async save(directory) {
        await writeDirectory(
          runtime.files,
          directory,
          await trainedModelFiles(gpu, parts.policy, companions),
        );
      },
      async close() {
        await close();
        gpu.close();
      },
      async *[Symbol.asyncIterator]() {
        while (trainer.step < trainer.totalSteps) yield await trainer.runStep();
      },
    };
  } catch (error) {
    gpu.close();
    throw error;
  }
}
