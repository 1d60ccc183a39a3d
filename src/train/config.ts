/**
 * The configuration of a training run: every key with its range, its default and one line of description, which the
 * help texts and the docs print. Leaf names are TRL's. Knows no file format: the command line reads YAML into plain
 * values (src/cli/config-file.ts), a page may send JSON.
 */
import { z } from 'zod';
import { DEFAULT_COLUMNS, type Field } from '../data/columns.ts';
import { LOSS_ON } from '../data/completions.ts';
import { DATA_FORMATS } from '../data/formats.ts';
import { PROMPT_PLACE } from '../data/rows.ts';
import type { Truncation } from '../data/truncation.ts';
import { InputErrors } from '../errors.ts';
import { LORA_TARGETS } from '../models/weight-table.ts';
import { choiceSchema } from '../objectives/choice.ts';
import { objectiveDefaults } from '../objectives/registry.ts';
import { OPTIMIZER_SYNONYMS, type OptimizerName, optimizerKeys, optimizers } from '../optim/registry.ts';
import { type Problem, problemsOf } from '../schema-problems.ts';
import { crossProblems, objectiveProblems, renamedProblems } from './config-rules.ts';
import { evalTask } from './eval-tasks.ts';
import { synonymHint } from './key-synonyms.ts';

/** All steps are planned before the first one; more would take longer than they are worth. */
const MOST_STEPS = 1_000_000;

const path = () => z.string().min(1);
const count = () => z.number().int().min(1);
/** Steps, or below 1 a share of the run. */
const stepsOrShare = () =>
  z
    .number()
    .gt(0)
    .refine(
      (value) => value < 1 || Number.isInteger(value),
      'must be a number of steps, or a share of the run below 1',
    );

const UNITS = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };
/** A number of bytes, or a text such as '8GiB'. */
const bytes = () =>
  z.union([
    count(),
    z
      .string()
      .regex(/^\d+(\.\d+)? ?[KMGT]iB$/, 'must be a number of bytes or a size such as 8GiB')
      .meta({ examples: ['8GiB'] })
      .transform((text) => Number.parseFloat(text) * UNITS[text.slice(-3) as keyof typeof UNITS]),
  ]);
const fields = Object.keys(DEFAULT_COLUMNS) as Field[];
const optimizerNames = [...Object.keys(optimizers), ...Object.keys(OPTIMIZER_SYNONYMS)] as (
  | OptimizerName
  | keyof typeof OPTIMIZER_SYNONYMS
)[];

const model = z.strictObject({
  path: path().describe(
    'model directory in the Hugging Face layout (config.json, safetensors, tokenizer.json), or that of a PEFT adapter, whose base is looked up',
  ),
  adapter: path()
    .optional()
    .describe('directory of a PEFT LoRA adapter on top of it, such as one that SFT made'),
  adapter_mode: z
    .enum(['continue', 'merge_and_new'])
    .default('continue')
    .describe(
      'continue trains that adapter on; merge_and_new merges it into its base, written to OUTPUT_DIR/merged-base, and trains what lora says on top',
    ),
  init: z
    .enum(['pretrained', 'random'])
    .default('pretrained')
    .describe(
      'random trains a model from scratch: config.json and tokenizer are read, weights come from the seed',
    ),
  dtype: z
    .enum(['auto', 'f32', 'f16', 'bf16'])
    .default('auto')
    .describe("type of the weights' compute copies; auto: f32 on a CPU adapter, else the checkpoint's"),
  load_in_8bit: z
    .boolean()
    .default(false)
    .describe('hold the frozen weights of layers in 8 bits; needs lora'),
  load_in_4bit: z
    .boolean()
    .default(false)
    .describe('hold them in 4 bits instead (NF4, groups of 64); needs lora'),
});

const lora = z.strictObject({
  r: count().max(1024).default(16).describe('rank of the update'),
  lora_alpha: z.number().gt(0).max(1e30).default(32).describe('the update is scaled by lora_alpha / r'),
  target_modules: z
    .array(z.enum(LORA_TARGETS))
    .min(1)
    .default(['q_proj', 'v_proj'])
    .describe('projections that get an update; all-linear is all of them'),
});

const reference = z.strictObject({
  model: path()
    .optional()
    .describe(
      'model directory of the reference; without it the policy before training, with the adapter that it had then',
    ),
  adapter: path()
    .optional()
    .describe(
      'directory of a PEFT adapter of the reference; without reference.model it is on the base of model.path',
    ),
  mode: z
    .enum(['auto', 'precompute', 'in_step'])
    .default('auto')
    .describe(
      'precompute: once, cached on disk; in_step: beside the policy; auto: precompute log-probs where they are enough',
    ),
  cache_dir: path()
    .optional()
    .describe('where precomputed log-probs are kept; without it OUTPUT_DIR/reference-cache'),
});

const source = () =>
  z.union([
    path(),
    z.strictObject({
      path: path().describe('as above'),
      weight: z
        .number()
        .gt(0)
        .max(100)
        .default(1)
        .describe('how often each row is in an epoch; 0.5 takes half of the rows'),
    }),
  ]);
const sources = () => z.union([source(), z.array(source()).min(1)]);

const data = z.strictObject({
  train: sources().describe(
    'rows to train on: a file (JSON, JSON Lines, also .gz or .zst, or Parquet), a pattern such as data/*.parquet, ' +
      'hf:OWNER/NAME:SUBSET/SPLIT, or a list of these, each also as {path, weight}',
  ),
  eval: sources().optional().describe('rows held out for evaluation, named in the same ways'),
  eval_fraction: z
    .number()
    .gt(0)
    .lt(1)
    .optional()
    .describe('in place of eval: this share of the training rows is held out, by the seed and by prompt'),
  format: z
    .enum(DATA_FORMATS)
    .default('auto')
    .describe('form of the rows, see docs/data.md; auto recognises it row by row and says which it was'),
  columns: z
    .partialRecord(z.enum(fields), path())
    .default({})
    .describe('field: NAME for columns of another name'),
  chat_template: path()
    .optional()
    .describe(
      "Jinja file, or its text, in place of the tokenizer's own chat template; it is saved with the model",
    ),
  prompt_template: z
    .string()
    .refine((text) => text.includes(PROMPT_PLACE), 'must have the place {prompt}')
    .optional()
    .describe('what prompts that are texts become: a text with the place {prompt}'),
  max_length: z.number().int().min(2).default(1024).describe('most tokens of prompt and answer together'),
  max_prompt_length: count().optional().describe('most tokens of the prompt; longer ones lose their start'),
  truncation: z
    .enum(['keep_start', 'keep_end'] satisfies Truncation[])
    .default('keep_start')
    .describe('keep_start cuts the end of answers that are too long, keep_end the start of the prompt'),
  loss_on: z
    .enum(LOSS_ON)
    .default('completion')
    .describe('of conversations to learn from: the answer they end with, or all turns of the assistant'),
  max_rows: count().optional().describe('read no more than this many rows of each source'),
  shuffle: z
    .boolean()
    .default(false)
    .describe(
      'draw max_rows from the whole source by the seed, not its first rows; epochs are shuffled anyway',
    ),
  on_bad_row: z
    .enum(['error', 'skip'])
    .default('error')
    .describe(
      'skip leaves rows out that are wrong, counts them and lists them in OUTPUT_DIR/dropped_rows.jsonl',
    ),
});

const training = z.strictObject({
  learning_rate: z
    .number()
    .gt(0)
    .max(1)
    .optional()
    .describe("peak learning rate; without it the objective's own default (2e-5 for sft), else 1e-6"),
  num_train_epochs: z.number().gt(0).default(1).describe('passes over the data; may be a fraction'),
  max_steps: z
    .number()
    .int()
    .min(-1)
    .max(MOST_STEPS)
    .refine((steps) => steps !== 0, 'must be -1 or at least 1, found 0')
    .default(-1)
    .describe('optimizer steps; overrides num_train_epochs unless it is -1'),
  per_device_train_batch_size: count().default(8).describe('rows per micro-batch'),
  gradient_accumulation_steps: count().default(1).describe('micro-batches per optimizer step'),
  max_tokens_per_micro_batch: count()
    .default(4096)
    .describe('micro-batches that hold more tokens are cut further'),
  prompt_sharing: z.boolean().default(true).describe('compute a prompt once for all of its answers'),
  packing: z.boolean().default(true).describe('put several examples into one micro-batch; false: one each'),
  gradient_checkpointing: z
    .boolean()
    .default(true)
    .describe('recompute activations in the backward pass to save memory'),
  memory_budget: bytes()
    .optional()
    .describe(
      'GPU memory the run may take, such as 8GiB: as few blocks are recomputed as fit, and if need be the optimizer is offloaded; replaces gradient_checkpointing',
    ),
  offload_optimizer: z
    .boolean()
    .default(false)
    .describe("keep the optimizer's moments (adamw: 8 bytes a trained parameter) in host memory; slower"),
  autotune: z
    .boolean()
    .optional()
    .describe(
      'measure before the first step which variant of each matrix product is fastest here; default: on a GPU',
    ),
  ddp_timeout: count()
    .default(1800)
    .describe('seconds that a rank waits for the others before it ends a run of several (docs/many-gpus.md)'),
  debug: z
    .enum(['underflow_overflow'])
    .optional()
    .describe('when a step is not finite, name the tensor in which that began; makes steps slower'),
  lr_scheduler_type: z.enum(['cosine', 'linear', 'constant']).default('cosine').describe('after the warm-up'),
  warmup_ratio: z
    .number()
    .min(0)
    .lt(1)
    .default(0.1)
    .describe('share of the steps in which the rate rises from 0'),
  warmup_steps: z.number().int().min(0).optional().describe('the same in steps; overrides warmup_ratio'),
  optim: z
    .enum(optimizerNames)
    .default('adamw')
    .transform(
      (name) =>
        (name in OPTIMIZER_SYNONYMS ? OPTIMIZER_SYNONYMS[name as 'adamw_torch'] : name) as OptimizerName,
    )
    .describe('optimizer; adamw_torch is another name of adamw'),
  weight_decay: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe('of matrices, not of norms and biases: decoupled with adamw, part of the gradient with sgd'),
  ...optimizerKeys,
  max_grad_norm: z
    .number()
    .gt(0)
    .default(1)
    .describe('gradients of a larger global norm are scaled down to it'),
  logging_steps: stepsOrShare()
    .default(10)
    .describe('steps between lines of metrics, which are means over these steps; below 1 a share of the run'),
  log_every_step: z
    .boolean()
    .default(false)
    .describe("keep every step's own values in metrics.jsonl; what is shown stays a mean over logging_steps"),
  eval_steps: stepsOrShare()
    .optional()
    .describe(
      'steps between evaluations, or below 1 a share of the run; without it only before and after training',
    ),
  eval_tasks_steps: stepsOrShare()
    .optional()
    .describe('steps between answers to eval_tasks; without it they are asked at every evaluation'),
  eval_samples: z
    .number()
    .int()
    .min(0)
    .default(0)
    .describe(
      'held-out prompts that the policy answers twice at every evaluation, for eval_kl_samples; needs reference.mode: in_step',
    ),
  save_steps: stepsOrShare()
    .optional()
    .describe('steps between checkpoints, or below 1 a share of the run; without it only on Ctrl-C'),
  save_only_model: z
    .boolean()
    .default(false)
    .describe('checkpoints hold the model alone, so that no run can continue from them'),
  save_total_limit: count()
    .optional()
    .describe('older checkpoints than this many are removed, but never the best'),
  metric_for_best_model: z
    .string()
    .min(1)
    .optional()
    .describe(
      'metric of the evaluation, with or without eval_, by which the best model gets a checkpoint; loss where one is needed',
    ),
  greater_is_better: z
    .boolean()
    .optional()
    .describe('whether that metric is to be large; without it unless its name ends in loss'),
  load_best_model_at_end: z
    .boolean()
    .default(false)
    .describe('write the best model, not the last one, at the end'),
  early_stopping_patience: count()
    .optional()
    .describe('end the run after this many evaluations in a row that are no better than the best'),
});

function withLearningRate(settings: z.output<typeof training>, objectiveName: string) {
  const { learning_rate = objectiveDefaults(objectiveName).learning_rate ?? 1e-6 } = settings;
  return { ...settings, learning_rate };
}

/** The group `training` alone, for callers without a configuration. @throws InputErrors with every problem */
export function trainingSettings(input: z.input<typeof training>, objectiveName: string): TrainingSettings {
  const parsed = training.safeParse(input);
  if (!parsed.success)
    throw wrongConfiguration(problemsOf(parsed.error, training, input, ['training'], synonymHint));
  return withLearningRate(parsed.data, objectiveName);
}

/** The YAML document as an object. Keys that are not listed are errors. */
export const trainConfigSchema = z
  .strictObject({
    model: model.describe('the model to train'),
    lora: lora.optional().describe('train a low-rank update; without it all weights are trained'),
    objective: choiceSchema.describe(
      'what is optimised; "objective: dpo" is short for "objective: {name: dpo}"',
    ),
    reference: reference.prefault({}).describe('the model that the policy is held against'),
    data: data.describe('what it is trained on'),
    training: training.prefault({}).describe('how it is trained'),
    eval_tasks: z
      .array(evalTask)
      .min(1)
      .optional()
      .describe('questions with right answers that the policy is asked before, between and after the steps'),
    output_dir: path().describe('where the model, checkpoints, metrics and logs go'),
    seed: z.number().int().min(0).max(0xffffffff).default(42).describe('seed of everything that is random'),
    device: path()
      .optional()
      .describe(
        'the GPU: part of its name, or its number in the list of "prefgrad doctor"; without it PREFGRAD_DEVICE, else the best one',
      ),
  })
  .transform((config) => ({
    ...config,
    training: withLearningRate(config.training, config.objective.name),
  }));

/** A checked configuration with all defaults filled in; `activate(config.objective)` gives its objective. */
export type TrainConfig = z.output<typeof trainConfigSchema>;

/** How it is trained: the group `training`, with all defaults filled in. */
export type TrainingSettings = TrainConfig['training'];

/** What the user may write. */
export type TrainConfigInput = z.input<typeof trainConfigSchema>;

export type ConfigReading =
  | { readonly config: TrainConfig; readonly problems: readonly [] }
  | { readonly config: undefined; readonly problems: readonly Problem[] };

/** Checks plain values against the schema, the objective's own settings and the rules between keys, all at once. */
export function readTrainConfig(raw: unknown): ConfigReading {
  const values = expandShorthand(raw);
  const parsed = trainConfigSchema.safeParse(values);
  const renamed = renamedProblems(values);
  const isRenamed = ({ path: at }: Problem) => renamed.some(({ path: old }) => old.join() === at.join());
  const wrong = parsed.success ? [] : problemsOf(parsed.error, trainConfigSchema, values, [], synonymHint);
  const problems = [
    ...renamed,
    ...wrong.filter((problem) => !isRenamed(problem)),
    ...objectiveProblems(values),
    ...crossProblems(values),
  ];
  return parsed.success && problems.length === 0
    ? { config: parsed.data, problems: [] }
    : { config: undefined, problems };
}

/** The same for callers without a file. @throws InputErrors with every problem, each under its key. */
export function trainConfigFrom(raw: unknown): TrainConfig {
  const { config, problems } = readTrainConfig(raw);
  if (config !== undefined) return config;
  throw wrongConfiguration(problems);
}

function wrongConfiguration(problems: readonly Problem[]): InputErrors {
  return new InputErrors(
    'The configuration is wrong:',
    problems.map(({ path: at, message }) => (at.length === 0 ? message : `${at.join('.')}: ${message}`)),
  );
}

/**
 * `objective: dpo` is `objective: {name: dpo}`, `token_weights: bmc` in it is `token_weights: {name: bmc}`, `device: 0` is
 * `device: '0'`, and PEFT's `target_modules: all-linear` is all of them.
 */
export function expandShorthand(raw: unknown): unknown {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return raw;
  const { device, lora } = raw as { readonly device?: unknown; readonly lora?: unknown };
  const isAll =
    typeof lora === 'object' &&
    lora !== null &&
    'target_modules' in lora &&
    lora.target_modules === 'all-linear';
  return expandObjective({
    ...raw,
    ...(typeof device === 'number' ? { device: String(device) } : {}),
    ...(isAll ? { lora: { ...lora, target_modules: [...LORA_TARGETS] } } : {}),
  });
}

function expandObjective(raw: unknown): unknown {
  if (typeof raw !== 'object' || raw === null || !('objective' in raw)) return raw;
  const { objective } = raw;
  if (typeof objective === 'string') return { ...raw, objective: { name: objective } };
  if (typeof objective !== 'object' || objective === null || !('token_weights' in objective)) return raw;
  const { token_weights } = objective;
  if (typeof token_weights !== 'string') return raw;
  return { ...raw, objective: { ...objective, token_weights: { name: token_weights } } };
}
