/** The checkpoints of a run: which one it continues, how it is put back, and how the next one is written. */
import { z } from 'zod';
import { upload } from '../autograd/tensor.ts';
import { InputError, InputErrors } from '../errors.ts';
import {
  checkpointPath,
  latestCheckpoint,
  listCheckpoints,
  rotateCheckpoints,
  saveCheckpoint,
} from '../formats/checkpoint.ts';
import type { OutputFile } from '../formats/output-file.ts';
import type { Gpu } from '../gpu/device.ts';
import { barrier, fromFirst } from '../runtime/ranks.ts';
import type { FileSystem, Runtime } from '../runtime/runtime.ts';
import type { BestCheckpoint } from './best-checkpoint.ts';
import type { TrainConfig } from './config.ts';
import { checkLogPosition } from './log-position.ts';
import type { LogPosition } from './run-log.ts';
import { changedKeys } from './same-run.ts';
import {
  optimizerFiles,
  readObjectiveState,
  restoreOptimizer,
  trainedModelFiles,
  trainerStateFile,
} from './saving.ts';
import type { Trainer } from './trainer.ts';
import { readTrainerState, type TrainerState } from './trainer-state.ts';

/** Digests of what a run reads, by the configuration's name for it. */
export type RunDigests = Readonly<Record<string, string>>;

export interface FoundCheckpoint {
  readonly path: string;
  readonly state: TrainerState;
}

/**
 * @param resume true takes the newest checkpoint in the output directory, a text is the path of one
 * @param digests of what the run reads, as `RunDigests`
 * @param note told when there is no checkpoint yet, as after a run that was killed early: it then starts anew
 * @throws InputError for a checkpoint that is damaged, or belongs to another run
 */
export async function findCheckpoint(
  { files, ranks }: Pick<Runtime, 'files' | 'ranks'>,
  config: TrainConfig,
  resume: string | boolean | undefined,
  digests: RunDigests,
  note: (line: string) => void,
): Promise<FoundCheckpoint | undefined> {
  if (resume === undefined || resume === false) return undefined;
  const newest = async () => (await latestCheckpoint(files, config.output_dir))?.path;
  const path = typeof resume === 'string' ? resume : await fromFirst(ranks, newest);
  if (path === undefined) {
    note(`${config.output_dir} holds no checkpoint yet: the run starts anew.`);
    return undefined;
  }
  const state = await readTrainerState(files, path);
  if (!(await files.exists(`${path}/optimizer.safetensors`)))
    throw new InputError(
      `${path} holds a model and no optimizer (training.save_only_model), so no run can continue from it.`,
    );
  const changed = changedKeys(state.config, config);
  if (changed.length > 0)
    throw new InputErrors(`${path} belongs to another run; start that one anew:`, changed);
  const other = Object.entries(digests).filter(
    ([what, digest]) => (state.digests?.[what] ?? digest) !== digest,
  );
  if (other.length > 0)
    throw new InputErrors(
      `${path} belongs to another run; start that one anew:`,
      other.map(([what]) => `${what}: not what it was when the checkpoint was written, under the same path`),
    );
  await checkLogPosition(files, config.output_dir, state);
  return { path, state };
}

/** Whether the run of this configuration has come to its end, so that there is nothing to resume. */
export async function isFinished(files: FileSystem, config: TrainConfig): Promise<boolean> {
  if (!(await files.exists(`${config.output_dir}/model`))) return false;
  const latest = (await listCheckpoints(files, config.output_dir)).at(-1);
  if (latest === undefined) return true;
  const { config: before } = await readTrainerState(files, latest.path);
  const { max_steps, num_train_epochs } = config.training;
  // A run that is to be longer than it was goes on.
  const { data } = lengthOf.safeParse(before);
  return data?.training.max_steps === max_steps && data.training.num_train_epochs === num_train_epochs;
}

const lengthOf = z.object({ training: z.object({ max_steps: z.number(), num_train_epochs: z.number() }) });

/** Puts weights, moments, the objective's state and the number of steps back. */
export async function restore(gpu: Gpu, trainer: Trainer, { path, state }: FoundCheckpoint): Promise<void> {
  const file = `${path}/trainer_state.json`;
  if (state.global_step > trainer.totalSteps)
    throw new InputError(
      `${file}: is of step ${state.global_step}, but the run has ${trainer.totalSteps}; raise training.max_steps.`,
    );
  const [wanted, found] = [trainer.objectiveState, state.objective_state].map((s) => Object.keys(s).sort());
  if (wanted.join() !== found.join())
    throw new InputError(
      `${file}: objective_state has ${found.join(', ') || 'nothing'}, but the objective carries ${wanted.join(', ') || 'nothing'}.`,
    );
  await restoreOptimizer(gpu, path, trainer.checkpointTensors());
  for (const [name, value] of Object.entries(state.objective_state))
    upload(gpu, trainer.objectiveState[name], new Float32Array([value]));
  trainer.step = state.global_step;
  await trainer.takeMasters();
}

/** Puts the weights of a checkpoint back, and nothing else of it. */
export async function restoreWeights(gpu: Gpu, trainer: Trainer, path: string): Promise<void> {
  const weights = [...trainer.checkpointTensors()].filter(([name]) => name.startsWith('master.'));
  await restoreOptimizer(gpu, path, weights);
  await trainer.takeMasters();
}

/** What a checkpoint holds besides what the trainer knows. */
export interface SavedRun {
  readonly position: LogPosition;
  readonly digests: RunDigests;
  readonly best: BestCheckpoint;
  /** Seconds that training took so far. */
  readonly seconds: number;
  /** Configuration and tokenizer, as `companionsOf` read them. */
  readonly companions: readonly OutputFile[];
  /** A run can continue from it. */
  readonly isWhole: boolean;
  /** The run was stopped before the evaluation that belongs to this step. */
  readonly isEvaluationDue: boolean;
}

/**
 * Writes a checkpoint and removes the oldest beyond `save_total_limit`, but not the best.
 * @returns the path of the checkpoint
 */
export async function saveRun(
  gpu: Gpu,
  config: TrainConfig,
  trainer: Trainer,
  { position, digests, best, seconds, companions, isWhole, isEvaluationDue }: SavedRun,
): Promise<string> {
  const { files, ranks } = gpu.runtime;
  best.saved(trainer.step, checkpointPath(config.output_dir, trainer.step));
  const state: TrainerState = {
    global_step: trainer.step,
    ...position,
    ...best.state,
    ...(isEvaluationDue ? { evaluation_due: true } : {}),
    train_seconds: seconds,
    objective_state: await readObjectiveState(gpu, trainer.objectiveState),
    kernel_choices: gpu.choices.toRecord(),
    config: { ...config },
    digests,
  };
  const contents = [
    ...(await trainedModelFiles(gpu, trainer.policy, companions)),
    ...(isWhole ? optimizerFiles(gpu, trainer.checkpointTensors()) : []),
    trainerStateFile(state),
  ];
  const path = await saveCheckpoint(files, config.output_dir, trainer.step, contents);
  const limit = config.training.save_total_limit;
  if (limit !== undefined)
    await rotateCheckpoints(files, config.output_dir, limit, best.state.best_model_checkpoint ?? undefined);
  // A rank that ends the job next does not end it while the first one writes.
  await barrier(ranks);
  return path;
}
