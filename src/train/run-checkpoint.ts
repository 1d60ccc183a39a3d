/** The checkpoints of a run: which one it continues, how it is put back, and how the next one is written. */
import { upload } from '../autograd/tensor.ts';
import { InputError, InputErrors } from '../errors.ts';
import {
  checkpointPath,
  latestCheckpoint,
  rotateCheckpoints,
  saveCheckpoint,
} from '../formats/checkpoint.ts';
import { readJson } from '../formats/json-file.ts';
import type { Gpu } from '../gpu/device.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import type { BestCheckpoint } from './best-checkpoint.ts';
import type { TrainConfig } from './config.ts';
import type { LogPosition } from './run-log.ts';
import { changedKeys } from './same-run.ts';
import {
  optimizerFile,
  readState,
  restoreOptimizer,
  type TrainerState,
  trainedModelFiles,
  trainerStateFile,
} from './saving.ts';
import type { Trainer } from './trainer.ts';

export interface FoundCheckpoint {
  readonly path: string;
  readonly state: TrainerState;
}

/**
 * @param resume true takes the newest checkpoint in the output directory, a text is the path of one
 * @throws InputError when there is none, or it belongs to another run
 */
export async function findCheckpoint(
  files: FileSystem,
  config: TrainConfig,
  resume: string | boolean | undefined,
): Promise<FoundCheckpoint | undefined> {
  if (resume === undefined || resume === false) return undefined;
  const path = typeof resume === 'string' ? resume : (await latestCheckpoint(files, config.output_dir))?.path;
  if (path === undefined)
    throw new InputError(`${config.output_dir} holds no checkpoint to resume from. Start without --resume.`);
  const state = await readJson(files, `${path}/trainer_state.json`);
  if (!(await files.exists(`${path}/optimizer.safetensors`)))
    throw new InputError(
      `${path} holds a model and no optimizer (training.save_only_model), so no run can continue from it.`,
    );
  const changed = changedKeys(state.config, config);
  if (changed.length > 0)
    throw new InputErrors(`${path} belongs to another run; start that one anew:`, changed);
  return { path, state: state as unknown as TrainerState };
}

/** Puts weights, moments, the objective's state and the number of steps back. */
export async function restore(gpu: Gpu, trainer: Trainer, { path, state }: FoundCheckpoint): Promise<void> {
  await restoreOptimizer(gpu, path, trainer.checkpointTensors());
  for (const [name, value] of Object.entries(state.objective_state))
    upload(gpu, trainer.objectiveState[name], new Float32Array([value]));
  trainer.step = Number(state.global_step);
  await trainer.policy.roundMasters();
}

/** Puts the weights of a checkpoint back, and nothing else of it. */
export async function restoreWeights(gpu: Gpu, trainer: Trainer, path: string): Promise<void> {
  const weights = [...trainer.checkpointTensors()].filter(([name]) => name.startsWith('master.'));
  await restoreOptimizer(gpu, path, weights);
  await trainer.policy.roundMasters();
}

/** What a checkpoint holds besides what the trainer knows. */
export interface SavedRun {
  readonly position: LogPosition;
  readonly best: BestCheckpoint;
  /** Seconds that training took so far. */
  readonly seconds: number;
  /** Saved with the model, where it is not the tokenizer's. */
  readonly chatTemplate?: string | undefined;
  /** A run can continue from it. */
  readonly isWhole: boolean;
}

/**
 * Writes a checkpoint and removes the oldest beyond `save_total_limit`, but not the best.
 * @returns the path of the checkpoint
 */
export async function saveRun(
  gpu: Gpu,
  config: TrainConfig,
  trainer: Trainer,
  { position, best, seconds, chatTemplate, isWhole }: SavedRun,
): Promise<string> {
  const { files } = gpu.runtime;
  best.saved(trainer.step, checkpointPath(config.output_dir, trainer.step));
  const state: TrainerState = {
    global_step: trainer.step,
    ...position,
    ...best.state,
    train_seconds: seconds,
    objective_state: await readState(gpu, trainer.objectiveState),
    kernel_choices: gpu.choices.toRecord(),
    config,
  };
  const contents = [
    ...(await trainedModelFiles(gpu, trainer.policy, chatTemplate)),
    ...(isWhole ? [optimizerFile(gpu, trainer.checkpointTensors())] : []),
    trainerStateFile(state),
  ];
  const path = await saveCheckpoint(files, config.output_dir, trainer.step, contents);
  const limit = config.training.save_total_limit;
  if (limit !== undefined)
    await rotateCheckpoints(files, config.output_dir, limit, best.state.best_model_checkpoint ?? undefined);
  return path;
}
