/** Reads a model in the Hugging Face layout: config.json, and model.safetensors or shards with an index. */
import { InputError, InputErrors } from '../errors.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { readJson } from './json-file.ts';
import { SafetensorsFile, type TensorEntry } from './safetensors.ts';

export { readJson } from './json-file.ts';

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
    const tensors = new Map<string, TensorEntry>();
    for (const [name, file] of files) {
      const entry = file.entries.get(name);
      if (entry !== undefined) tensors.set(name, entry);
    }
    this.tensors = tensors;
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

  /** All bytes of a small tensor, little-endian. */
  async readTensor(name: string): Promise<Uint8Array<ArrayBuffer>> {
    return this.#file(name).readTensor(name);
  }

  /** Rows [first, first + count) of a tensor, where a row is everything behind the first dimension. */
  async readTensorRows(name: string, first: number, count: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.#file(name).readTensorRows(name, first, count);
  }

  /** Bytes [offset, offset + length) of one tensor. */
  async readRange(name: string, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.#file(name).readRange(name, offset, length);
  }

  async close(): Promise<void> {
    for (const file of new Set(this.#files.values())) await file.close();
  }

  #file(name: string): SafetensorsFile {
    const file = this.#files.get(name);
    if (file === undefined) throw new InputError(`${this.path}: there is no tensor ${name}.`);
    return file;
  }
}

/** Which file holds which tensor, after `weight_map` of the index. */
async function openShards(
  files: FileSystem,
  path: string,
  index: string,
): Promise<Map<string, SafetensorsFile>> {
  const weights = await readWeightMap(files, index);
  const shards = new Map<string, SafetensorsFile>();
  const problems: string[] = [];
  const result = new Map<string, SafetensorsFile>();
  try {
    for (const shard of new Set(weights.values())) {
      if (await files.exists(`${path}/${shard}`))
        shards.set(shard, await SafetensorsFile.open(await files.open(`${path}/${shard}`)));
      else problems.push(`the shard ${shard} is missing`);
    }
    for (const [name, shardName] of weights) {
      const shard = shards.get(shardName);
      if (shard === undefined) continue;
      if (shard.entries.has(name)) result.set(name, shard);
      else problems.push(`${name} should be in ${shardName}, but is not`);
    }
    if (problems.length > 0) throw new InputErrors(`${index} does not match its shards:`, problems);
    return result;
  } catch (error) {
    for (const shard of shards.values()) await shard.close();
    throw error;
  }
}

async function readWeightMap(files: FileSystem, index: string): Promise<Map<string, string>> {
  const map = (await readJson(files, index)).weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map))
    throw new InputError(`${index}: there is no weight_map.`);
  const result = new Map<string, string>();
  for (const [name, shard] of Object.entries(map)) {
    // A path would lead out of the model's directory.
    if (typeof shard !== 'string' || shard.length > 255 || /[\\/]|^\.*$/.test(shard))
      throw new InputError(
        `${index}: weight_map gives ${JSON.stringify(shard).slice(0, 60)} for ${name}, which is no file name.`,
      );
    result.set(name, shard);
  }
  return result;
}
