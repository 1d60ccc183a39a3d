/** A model in the Hugging Face layout: config.json, and model.safetensors or shards with an index. */
import { InputError, InputErrors } from '../errors.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { SafetensorsFile, type TensorEntry } from './safetensors.ts';

export class ModelDirectory {
  readonly path: string;
  /** The parsed config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly #files: ReadonlyMap<string, SafetensorsFile>;

  private constructor(path: string, config: Record<string, unknown>, files: Map<string, SafetensorsFile>) {
    this.path = path;
    this.config = config;
    this.#files = files;
    this.tensors = new Map([...files].map(([name, file]) => [name, entryOf(file, name)]));
  }

  /** @throws InputError naming what is missing or unsound. */
  static async open(files: FileSystem, path: string): Promise<ModelDirectory> {
    if (!(await files.isDirectory(path))) {
      throw new InputError(
        `${path}: there is no such directory. A model is a directory with config.json, model.safetensors and tokenizer.json.`,
      );
    }
    const config = await readJson(files, `${path}/config.json`);
    const single = `${path}/model.safetensors`;
    const index = `${single}.index.json`;
    if (await files.exists(single)) {
      const file = await SafetensorsFile.open(await files.open(single));
      return new ModelDirectory(path, config, new Map([...file.entries.keys()].map((name) => [name, file])));
    }
    if (await files.exists(index))
      return new ModelDirectory(path, config, await openShards(files, path, index));
    throw new InputError(
      `${path}: there is neither model.safetensors nor model.safetensors.index.json. Other weight formats are not read.`,
    );
  }

  /** Bytes [offset, offset + length) of one tensor. */
  readRange(name: string, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const file = this.#files.get(name);
    if (file === undefined) throw new InputError(`${this.path}: there is no tensor ${name}.`);
    return file.readRange(name, offset, length);
  }

  async close(): Promise<void> {
    for (const file of new Set(this.#files.values())) await file.close();
  }
}

/** Reads a JSON object. @throws InputError naming the file. */
export async function readJson(files: FileSystem, path: string): Promise<Record<string, unknown>> {
  const text = await files.readText(path);
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch (error) {
    throw new InputError(`${path}: not JSON: ${error instanceof Error ? error.message : error}`);
  }
  throw new InputError(`${path}: expected a JSON object.`);
}

async function openShards(
  files: FileSystem,
  path: string,
  index: string,
): Promise<Map<string, SafetensorsFile>> {
  const map = (await readJson(files, index)).weight_map;
  if (typeof map !== 'object' || map === null) throw new InputError(`${index}: there is no weight_map.`);
  const weights = Object.entries(map as Record<string, unknown>);
  const shards = new Map<string, SafetensorsFile>();
  const problems: string[] = [];
  for (const shard of new Set(weights.map(([, file]) => String(file)))) {
    if (await files.exists(`${path}/${shard}`))
      shards.set(shard, await SafetensorsFile.open(await files.open(`${path}/${shard}`)));
    else problems.push(`the shard ${shard} is missing`);
  }
  const result = new Map<string, SafetensorsFile>();
  for (const [name, file] of weights) {
    const shard = shards.get(String(file));
    if (shard === undefined) continue;
    if (shard.entries.has(name)) result.set(name, shard);
    else problems.push(`${name} should be in ${file}, but is not`);
  }
  if (problems.length > 0) throw new InputErrors(`${index} does not match its shards:`, problems);
  return result;
}

function entryOf(file: SafetensorsFile, name: string): TensorEntry {
  const entry = file.entries.get(name);
  if (entry === undefined) throw new RangeError(`${name} is not in its file.`);
  return entry;
}
