/**
 * PEFT LoRA adapters: adapter_config.json and adapter_model.safetensors, whose tensors are called
 * 'base_model.model.' + module + '.lora_A.weight' [r, in] and '.lora_B.weight' [out, r]. Here the prefix is left out, as
 * in our parameters' names.
 */
import { InputError, InputErrors } from '../errors.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { allFinite, type FloatDType } from './half.ts';
import { readJson } from './json-file.ts';
import { jsonFile, type OutputFile } from './output-file.ts';
import { type LoraConfig, moduleKind, parsePeftConfig, peftConfig } from './peft-config.ts';
import { SafetensorsFile, type TensorEntry } from './safetensors.ts';
import { type OutputTensor, safetensorsFile } from './safetensors-writer.ts';

export type { LoraConfig } from './peft-config.ts';

const PREFIX = 'base_model.model.';
const LORA_NAME = /^(.+)\.lora_([AB])\.weight$/;

export class PeftAdapter {
  readonly path: string;
  readonly config: LoraConfig;
  /** By name without the prefix, e.g. 'model.layers.0.self_attn.q_proj.lora_A.weight'. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly #file: SafetensorsFile;

  private constructor(path: string, config: LoraConfig, file: SafetensorsFile) {
    this.path = path;
    this.config = config;
    this.#file = file;
    this.tensors = new Map(
      [...file.entries.values()].map(({ name, dtype, shape }) => {
        const short = name.slice(PREFIX.length);
        return [short, { name: short, dtype, shape }];
      }),
    );
  }

  /** @throws InputError naming the file and the option, tensor or shape that is missing or not supported */
  static async open(files: FileSystem, path: string): Promise<PeftAdapter> {
    const configPath = `${path}/adapter_config.json`;
    const weightsPath = `${path}/adapter_model.safetensors`;
    if (!(await files.exists(configPath)))
      throw new InputError(
        `${path}: there is no adapter_config.json, so this is no directory of a PEFT adapter.`,
      );
    const config = parsePeftConfig(await readJson(files, configPath), configPath);
    if (!(await files.exists(weightsPath)))
      throw new InputError(
        `${path}: there is no adapter_model.safetensors. Other formats of weights, such as adapter_model.bin, are not read.`,
      );
    const file = await SafetensorsFile.open(await files.open(weightsPath));
    try {
      const modules = checkPairs(file.entries, config.r, weightsPath);
      const targetModules = [...new Set(modules.map(moduleKind))].sort();
      return new PeftAdapter(path, { ...config, targetModules }, file);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** All bytes of a tensor, little-endian. @throws InputError for values that are not finite */
  async readTensor(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.#file.readTensor(PREFIX + name);
    const dtype = this.tensors.get(name)?.dtype;
    if (allFinite(bytes, dtype as FloatDType)) return bytes;
    throw new InputError(
      `${this.path}: ${name} has values that are not finite; the adapter is damaged, or a training diverged.`,
    );
  }

  /** Bytes [offset, offset + length) of one tensor. */
  readRange(name: string, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.#file.readRange(PREFIX + name, offset, length);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/**
 * An adapter directory as peft loads it.
 * @param tensors - named like 'model.layers.0.self_attn.q_proj.lora_A.weight'
 */
export function adapterFiles(config: LoraConfig, tensors: readonly OutputTensor[]): OutputFile[] {
  checkPairs(new Map(tensors.map((t) => [PREFIX + t.name, t])), config.r, 'adapter_model.safetensors');
  return [
    jsonFile('adapter_config.json', peftConfig(config)),
    safetensorsFile(
      'adapter_model.safetensors',
      tensors.map((t) => ({ ...t, name: PREFIX + t.name, read: () => t.read() })),
    ),
  ];
}

/** The adapted modules. @throws InputErrors naming every tensor that is no half of a pair of rank r */
function checkPairs(entries: ReadonlyMap<string, TensorEntry>, r: number, path: string): string[] {
  const problems: string[] = [];
  const halves = new Map<string, string>();
  for (const [name, { dtype, shape }] of entries) {
    const match = name.startsWith(PREFIX) ? LORA_NAME.exec(name.slice(PREFIX.length)) : null;
    if (match === null) {
      problems.push(`${name}: is no LoRA weight of a linear module`);
      continue;
    }
    if (!['F32', 'F16', 'BF16'].includes(dtype))
      problems.push(`${name}: ${dtype} is not supported, only F32, F16 and BF16`);
    const [, module, half] = match;
    halves.set(module, (halves.get(module) ?? '') + half);
    const expected = half === 'A' ? `[${r}, in]` : `[out, ${r}]`;
    if (shape.length !== 2 || shape[half === 'A' ? 0 : 1] !== r)
      problems.push(`${name}: has shape [${shape.join(', ')}], but r = ${r} asks for ${expected}`);
  }
  for (const [module, found] of halves)
    if (found.length !== 2) problems.push(`${PREFIX}${module}: has lora_${found}, but not its other half`);
  if (entries.size === 0) problems.push('it holds no tensors');
  if (problems.length > 0) throw new InputErrors(`${path} is not a LoRA adapter of one rank:`, problems);
  return [...halves.keys()];
}
