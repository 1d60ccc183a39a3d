/** Where a model is: a model directory, or a PEFT adapter that says on which model it sits. */
import { InputError } from '../errors.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { readJson } from './json-file.ts';

export interface ModelLocation {
  /** Directory with config.json and weights. */
  readonly path: string;
  /** Directory of the adapter on top of it. */
  readonly adapter: string | undefined;
  /** Directory with the tokenizer: the adapter's, where it has one, as its chat template is what it was trained with. */
  readonly tokenizer: string;
}

const CONFIG = 'adapter_config.json';

/**
 * Takes a model directory with or without an adapter, or the directory of an adapter alone, whose
 * `base_model_name_or_path` is then looked for: as it stands, beside the adapter, and on the hub.
 * @throws InputError for an adapter on an adapter, or a base that is not found
 */
export async function locateModel(files: FileSystem, path: string, adapter?: string): Promise<ModelLocation> {
  const isAdapter = (await files.exists(`${path}/${CONFIG}`)) && !(await files.exists(`${path}/config.json`));
  if (!isAdapter)
    return {
      path,
      adapter,
      tokenizer: adapter === undefined ? path : await tokenizerOf(files, adapter, path),
    };
  if (adapter !== undefined)
    throw new InputError(
      `${path}: this is a PEFT adapter, and ${adapter} would be a second one on top. Merge the first into its base with ` +
        '"prefgrad merge", or name the base model here.',
    );
  const base = await findBase(files, path);
  return { path: base, adapter: path, tokenizer: await tokenizerOf(files, path, base) };
}

async function tokenizerOf(files: FileSystem, adapter: string, base: string): Promise<string> {
  return (await files.exists(`${adapter}/tokenizer.json`)) ? adapter : base;
}

async function findBase(files: FileSystem, adapter: string): Promise<string> {
  const file = `${adapter}/${CONFIG}`;
  const { base_model_name_or_path: base } = await readJson(files, file);
  if (typeof base !== 'string' || base === '')
    throw new InputError(
      `${file}: base_model_name_or_path does not say on which model this adapter sits. ${remedy(adapter)}`,
    );
  for (const path of [base, `${adapter}/${base}`]) if (await files.exists(`${path}/config.json`)) return path;
  if (!/^[\w.-]+\/[\w.-]+$/.test(base))
    throw new InputError(
      `${file}: its base_model_name_or_path ${base} is no model directory here. ${remedy(adapter)}`,
    );
  try {
    if (await files.exists(`hf:${base}/config.json`)) return `hf:${base}`;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError(
      `${file}: its base_model_name_or_path ${base} is no model directory here, and the hub cannot be asked (${reason}). ${remedy(adapter)}`,
    );
  }
  throw new InputError(
    `${file}: its base_model_name_or_path ${base} is neither a model directory here nor a model of the hub. ${remedy(adapter)}`,
  );
}

function remedy(adapter: string): string {
  return `Give the directory of the base as the model and ${adapter} as the adapter.`;
}
