/** trainer_state.json: what a checkpoint remembers besides tensors, checked before a run continues from it. */
import { z } from 'zod';
import { InputErrors } from '../errors.ts';
import { readJson } from '../formats/json-file.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { problemsOf } from '../schema-problems.ts';

const count = () => z.number().int().min(0);

/** JSON has no NaN and no infinity: they are written as null. */
const written = () =>
  z
    .number()
    .nullable()
    .transform((value) => value ?? Number.NaN);

const stateSchema = z.object({
  global_step: count().describe('optimizer steps done'),
  metrics_offset: count().describe('bytes of metrics.jsonl that belong to the steps done'),
  tensorboard: z.object({
    // Names alone: a path could lead out of the output directory.
    file: z
      .string()
      .regex(/^[^/\\\0]*tfevents[^/\\\0]*$/, 'must be the name of an event file, without a directory'),
    offset: count().describe('bytes of it that belong to the steps done'),
  }),
  log_interval: z
    .record(z.string(), z.tuple([written(), count()]).readonly())
    .optional()
    .describe('what the steps since the last line of metrics add to the next one'),
  train_seconds: z.number().min(0).optional().describe('seconds that training took so far'),
  best_metric: z.number().nullable().optional(),
  best_global_step: count().nullable().optional(),
  best_model_checkpoint: z.string().nullable().optional(),
  early_stopping_patience_counter: count().optional().describe('evaluations since the best one'),
  evaluation_due: z.boolean().optional().describe('the run was stopped before the evaluation of this step'),
  objective_state: z.record(z.string(), z.number()).describe('what the objective carries from step to step'),
  kernel_choices: z
    .record(z.string(), z.string())
    .describe('variants of kernels that were chosen for this adapter; a resumed run keeps them'),
  config: z.record(z.string(), z.unknown()).describe('the configuration, to refuse resuming another run'),
  digests: z
    .record(z.string(), z.string())
    .optional()
    .describe('of the rows and the frozen weights, by what they are; older checkpoints have none'),
});

export type TrainerState = Readonly<z.output<typeof stateSchema>>;

/**
 * Reads the state of the checkpoint at `path`.
 * @throws InputErrors naming every value that is missing or wrong, also a step that its directory contradicts
 */
export async function readTrainerState(files: FileSystem, path: string): Promise<TrainerState> {
  const file = `${path}/trainer_state.json`;
  const raw = await readJson(files, file);
  const { data, error } = stateSchema.safeParse(raw);
  if (error !== undefined) {
    fail(
      file,
      problemsOf(error, stateSchema, raw).map((p) => `${p.path.join('.')}: ${p.message}`),
    );
  }
  const named = /(?:^|\/)checkpoint-(\d+)\/*$/.exec(path)?.[1];
  if (named !== undefined && Number(named) !== data.global_step)
    fail(file, [`global_step: found ${data.global_step} in the checkpoint of step ${named}`]);
  return data;
}

function fail(file: string, problems: readonly string[]): never {
  throw new InputErrors(`${file} is damaged; resume from another checkpoint with --resume PATH:`, problems);
}
