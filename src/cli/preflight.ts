/**
 * Everything about a run that can be known to be wrong before a GPU is opened: the configuration, the files it names,
 * the first rows of the data, and an output directory in use.
 */
import { reportText } from '../data/data-report.ts';
import { sourcesOf } from '../data/dataset.ts';
import { loadTokenizer } from '../data/load-tokenizer.ts';
import { prepareDataset } from '../data/prepare.ts';
import { expandData } from '../data/sources/expand.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { InputError, InputErrors } from '../errors.ts';
import { ModelDirectory, readJson } from '../formats/model-directory.ts';
import { locateModel, type ModelLocation } from '../formats/model-location.ts';
import type { ModelConfig } from '../models/causal-lm.ts';
import { checkWeights } from '../models/loading/check-weights.ts';
import { openMerge } from '../models/loading/merge.ts';
import { describeModel } from '../models/registry.ts';
import { activate } from '../objectives/choice.ts';
import type { Needs } from '../objectives/objective.ts';
import type { FileSystem, Runtime } from '../runtime/runtime.ts';
import type { TrainConfig } from '../train/config.ts';
import { datasetSettings } from '../train/dataset-settings.ts';
import { checkReplaceable } from '../train/earlier-run.ts';
import { loadConfig } from './config-file.ts';

/** With less an adapter of rank 16 moved by next to nothing over an epoch of the quickstart (60 steps). */
const LEAST_ADAPTER_RATE = 2e-6;

/** Rows of each data file that are read before training. */
export const FIRST_ROWS = 200;

export interface PreflightOptions {
  readonly set: readonly string[];
  /** Overrides the configuration's device. */
  readonly device: string | undefined;
  /** A run is to be continued, so output_dir may be in use. */
  readonly resume: boolean;
  /** A run in output_dir is to be replaced. */
  readonly force: boolean;
}

export interface Preflight {
  readonly config: TrainConfig;
  /** What was found, a line each. */
  readonly facts: readonly string[];
  /** What is allowed and probably not meant, a line each. */
  readonly warnings: readonly string[];
}

/** @throws InputErrors with everything that is wrong. */
export async function preflight(
  runtime: Runtime,
  file: string,
  options: PreflightOptions,
): Promise<Preflight> {
  const { files } = runtime;
  const { config: read, locate } = await loadConfig(files, file, options.set);
  const config = options.device === undefined ? read : { ...read, device: options.device };
  const problems: string[] = [];
  const facts: string[] = [];
  /** Runs one check; its error becomes a problem under the key that it is about. */
  const check = async <T>(key: string, action: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      problems.push(`${locate(key.split('.'))}: ${key}: ${error.message.replaceAll('\n', '\n  ')}`);
      return undefined;
    }
  };
  const active = activate(config.objective);
  facts.push(
    `objective: ${active.name}${active.tokenWeights === undefined ? '' : ` with ${active.tokenWeights.name} token weights`}`,
  );

  const { path, adapter, init } = config.model;
  const place = await check('model.path', () => locateModel(files, path, adapter));
  const model = place && (await check('model.path', () => readModel(files, place.path, init)));
  if (place !== undefined && model !== undefined) facts.push(`model: ${place.path}, ${modelText(model)}`);
  if (place?.adapter !== undefined) {
    const on = place.adapter;
    const fact = await check(adapter === undefined ? 'model.path' : 'model.adapter', () =>
      adapterText(files, { ...place, adapter: on }),
    );
    if (fact !== undefined) facts.push(`adapter: ${on}, ${fact}`);
  }
  const tokenizer = place && (await check('model.path', () => readTokenizer(files, place.tokenizer)));
  const template = config.data.chat_template;
  /** With the template of the configuration, where it has one. */
  const templated =
    template === undefined || tokenizer === undefined
      ? tokenizer
      : await check('data.chat_template', () => loadTokenizer(files, place?.tokenizer ?? path, template));
  await check('data.max_length', async () => checkLength(config.data.max_length, model));
  const { model: reference, adapter: referenceAdapter } = config.reference;
  if (reference !== undefined)
    await check('reference.model', async () =>
      readModel(files, (await locateModel(files, reference, referenceAdapter)).path),
    );
  const referenceBase = reference ?? place?.path;
  if (referenceAdapter !== undefined && referenceBase !== undefined)
    await check('reference.adapter', async () =>
      adapterText(files, await locateModel(files, referenceBase, referenceAdapter)),
    );

  for (const key of ['train', 'eval'] as const) {
    for (const { path } of sourcesOf(config.data[key] ?? [])) {
      const fact = await check(`data.${key}`, () =>
        readFirstRows(files, path, config, active.needs, templated, model),
      );
      if (fact !== undefined) facts.push(`${key} data: ${fact}`);
    }
  }
  const checkPlace = options.force ? checkReplaceable : checkFree;
  if (!options.resume) await check('output_dir', () => checkPlace(files, config.output_dir));
  if (problems.length > 0) throw new InputErrors(`${file}: the run cannot start`, problems);
  return { config, facts, warnings: rateWarnings(config) };
}

/** @throws InputError where the model cannot be run, or its weights are not those that config.json describes */
export async function readModel(
  files: FileSystem,
  path: string,
  init: TrainConfig['model']['init'] = 'pretrained',
): Promise<ModelConfig> {
  const file = `${path}/config.json`;
  if (init === 'random') return describeModel(await readJson(files, file), file).config;
  const directory = await ModelDirectory.open(files, path);
  try {
    const { config, weights } = describeModel(directory.config, file);
    checkWeights(directory, weights);
    return config;
  } finally {
    await directory.close();
  }
}

/** @throws InputError for an adapter that cannot be read, or has modules that its base lacks */
async function adapterText(files: FileSystem, location: ModelLocation): Promise<string> {
  // What merging needs is what training on it needs: modules of the same names and shapes.
  const merge = await openMerge(files, location);
  await merge.close();
  const { r, alpha, targetModules } = merge.config;
  return `LoRA of rank ${r}, alpha ${alpha}, on ${targetModules.join(', ')}`;
}

/** Says nothing about a directory that is not there: the model's check has done so. */
async function readTokenizer(files: FileSystem, path: string): Promise<Tokenizer | undefined> {
  return (await files.isDirectory(path)) ? loadTokenizer(files, path) : undefined;
}

function modelText({ architecture, layers, hiddenSize, vocabSize, maxPositions }: ModelConfig): string {
  return `${architecture}, ${layers} layers of width ${hiddenSize}, vocabulary ${vocabSize}, ${maxPositions} positions`;
}

function checkLength(maxLength: number, model: ModelConfig | undefined): void {
  if (model === undefined || maxLength <= model.maxPositions) return;
  throw new InputError(`${maxLength} is more than the model's ${model.maxPositions} positions; lower it`);
}

async function readFirstRows(
  files: FileSystem,
  path: string,
  config: TrainConfig,
  needs: Needs,
  tokenizer: Tokenizer | undefined,
  model: ModelConfig | undefined,
): Promise<string | undefined> {
  // Names that are wrong are worth reporting without a tokenizer too.
  await expandData(files, path);
  if (tokenizer === undefined) return undefined;
  const { report } = await prepareDataset({
    ...datasetSettings(config, needs),
    files,
    path,
    tokenizer,
    modelVocabSize: model?.vocabSize,
    limit: Math.min(FIRST_ROWS, config.data.max_rows ?? FIRST_ROWS),
  });
  return `${path}: ${reportText(report)}`;
}

/** B of a new adapter starts at 0, so that rates of full fine-tuning leave it where it is. */
function rateWarnings({ lora, training }: TrainConfig): string[] {
  const rate = training.learning_rate;
  if (lora === undefined || rate >= LEAST_ADAPTER_RATE) return [];
  return [
    `training.learning_rate: ${rate} is a rate for all weights and hardly moves a new adapter; rates between 5e-6 and ` +
      '2e-4 are common (docs/recipes.md)',
  ];
}

/** An output directory with anything in it belongs to another run. */
async function checkFree(files: FileSystem, path: string): Promise<void> {
  if (!(await files.exists(path))) return;
  if (!(await files.isDirectory(path))) throw new InputError(`${path} is a file, not a directory`);
  // Whether a lock is stale only its taker can tell.
  const names = (await files.list(path)).filter((name) => name !== '.lock');
  if (names.length === 0) return;
  const shown = names.slice(0, 3).join(', ') + (names.length > 3 ? ', ...' : '');
  throw new InputError(
    `${path} is in use (${shown}). Continue that run with --resume, replace it with --force, or choose another directory with --set output_dir=DIR`,
  );
}
