/** A model directory as transformers loads it, as a list of files to be written. */
import type { FileSystem } from '../runtime/runtime.ts';
import type { FloatDType } from './half.ts';
import { parseJsonObject } from './json-file.ts';
import { heldFile, jsonFile, type OutputFile, textFile } from './output-file.ts';
import { tensorBytes } from './safetensors-dtypes.ts';
import { type OutputTensor, safetensorsFile } from './safetensors-writer.ts';

/** Files beside the weights that belong to a model and are taken over byte for byte. */
const COPIED = [
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'tokenizer.model',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'chat_template.jinja',
  'chat_template.json',
] as const;

/** What transformers does when nobody asks for another size. */
const DEFAULT_SHARD_BYTES = 5_000_000_000;

export interface ModelFilesOptions {
  /** dtype of the weights, written into config.json; the tensors must have it. */
  readonly dtype: FloatDType;
  /** A shard grows to at most this, unless one tensor is larger. 5 GB by default. */
  readonly maxShardBytes?: number;
  /** Replaces the chat template of the model it came from. */
  readonly chatTemplate?: string | undefined;
  /** Where tokenizer and generation settings come from, unless from the model's own directory. */
  readonly tokenizerDirectory?: string | undefined;
}

/**
 * Everything a saved model consists of.
 * @param directory - the model it came from, whose config, tokenizer and generation settings are taken over
 */
export async function modelFiles(
  files: FileSystem,
  directory: string,
  tensors: readonly OutputTensor[],
  options: ModelFilesOptions,
): Promise<OutputFile[]> {
  return [
    ...(await companionFiles(files, directory, options)),
    ...weightFiles(tensors, options.maxShardBytes),
  ];
}

/** What a saved model consists of besides its weights, as it is now: a run may outlive the directory that it is from. */
export async function companionFiles(
  files: FileSystem,
  directory: string,
  { dtype, tokenizerDirectory = directory, chatTemplate }: ModelFilesOptions,
): Promise<OutputFile[]> {
  const path = `${directory}/config.json`;
  const config = configWithDType(await files.readText(path), path, dtype);
  return [
    textFile('config.json', config),
    ...(await tokenizerFiles(files, tokenizerDirectory, chatTemplate)),
  ];
}

/**
 * The tokenizer and generation files that `directory` has now.
 * @param chatTemplate - replaces its chat template: in a file of its own, which transformers prefers, and where older
 *   versions look, in tokenizer_config.json
 */
export async function tokenizerFiles(
  files: FileSystem,
  directory: string,
  chatTemplate?: string,
): Promise<OutputFile[]> {
  const result: OutputFile[] = [];
  for (const name of COPIED) {
    const path = `${directory}/${name}`;
    if (chatTemplate !== undefined && name.startsWith('chat_template.')) continue;
    if (!(await files.exists(path))) continue;
    if (chatTemplate !== undefined && name === 'tokenizer_config.json') {
      const config = parseJsonObject(await files.readText(path), path);
      result.push(jsonFile(name, { ...config, chat_template: chatTemplate }));
    } else result.push(await heldFile(name, files, path));
  }
  if (chatTemplate !== undefined) result.push(textFile('chat_template.jinja', chatTemplate));
  return result;
}

/** One model.safetensors, or numbered shards and their index. */
export function weightFiles(
  tensors: readonly OutputTensor[],
  maxShardBytes = DEFAULT_SHARD_BYTES,
): OutputFile[] {
  const shards = cut(tensors, maxShardBytes);
  if (shards.length === 1) return [safetensorsFile('model.safetensors', tensors)];
  const number = (n: number) => String(n).padStart(5, '0');
  const name = (i: number) => `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
  const weightMap = shards.flatMap((shard, i) => shard.map((tensor) => [tensor.name, name(i)]));
  return [
    ...shards.map((shard, i) => safetensorsFile(name(i), shard)),
    jsonFile('model.safetensors.index.json', {
      metadata: { total_size: tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0) },
      weight_map: Object.fromEntries(weightMap),
    }),
  ];
}

function cut(tensors: readonly OutputTensor[], maxBytes: number): OutputTensor[][] {
  let shard: OutputTensor[] = [];
  const shards = [shard];
  let size = 0;
  for (const tensor of tensors) {
    const bytes = tensorBytes(tensor);
    if (shard.length > 0 && size + bytes > maxBytes) {
      shard = [];
      shards.push(shard);
      size = 0;
    }
    shard.push(tensor);
    size += bytes;
  }
  return shards;
}

const DTYPE_NAMES: Readonly<Record<FloatDType, string>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
};

/**
 * config.json with its dtype replaced, in the text where possible: JSON has one kind of number, Python two, and strict
 * readers want `500000.0` to stay what it is.
 */
export function configWithDType(text: string, path: string, dtype: FloatDType): string {
  const config = parseJsonObject(text, path);
  // transformers 5 writes `dtype`; every version reads `torch_dtype`.
  const present = ['dtype', 'torch_dtype'].filter((key) => key in config);
  const keys = present.length === 0 ? ['torch_dtype'] : present;
  const wanted = { ...config };
  let edited = text;
  for (const key of keys) {
    wanted[key] = DTYPE_NAMES[dtype];
    const member = `"${key}": "${DTYPE_NAMES[dtype]}"`;
    edited =
      present.length === 0
        ? edited.replace(/\{(\s*)/, Object.keys(config).length === 0 ? `{${member}` : `{$1${member},$1`)
        : edited.replace(new RegExp(`"${key}"\\s*:\\s*("[^"]*"|null)`), member);
  }
  return hasSameMembers(edited, wanted) ? edited : `${JSON.stringify(wanted, null, 2)}\n`;
}

/** Whether `text` is `object`, its keys in whatever order. */
function hasSameMembers(text: string, object: Record<string, unknown>): boolean {
  const found = parseJsonObject(text, 'config.json');
  return (
    Object.keys(found).length === Object.keys(object).length &&
    Object.entries(object).every(([key, value]) => JSON.stringify(found[key]) === JSON.stringify(value))
  );
}
