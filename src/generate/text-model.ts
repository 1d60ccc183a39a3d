/** A model directory made ready to continue texts: tokenizer, weights on the GPU and an engine. */
import { ChatTemplate } from '../data/chat-template.ts';
import { loadTokenizer } from '../data/load-tokenizer.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { ModelDirectory } from '../formats/model-directory.ts';
import { locateModel } from '../formats/model-location.ts';
import { Gpu } from '../gpu/device.ts';
import { loadWithAdapter } from '../models/loading/load-with-adapter.ts';
import { describeModel } from '../models/registry.ts';
import type { FileSystem, Runtime } from '../runtime/runtime.ts';
import { Engine } from './engine.ts';

export interface TextModelOptions {
  /** Model directory, or the directory of an adapter that names its base. */
  readonly model: string;
  /** Directory of a PEFT adapter. */
  readonly adapter?: string;
  /** The WebGPU device. */
  readonly device?: string;
  /** Sequences that decode together. */
  readonly maxSequences: number;
  /** Most bytes of keys and values. Default: what maxSequences texts of full length take. */
  readonly cacheBytes?: number;
}

export interface TextModel {
  readonly tokenizer: Tokenizer;
  readonly engine: Engine;
  readonly gpu: Gpu;
  /** Tokens of the longest text. */
  readonly positions: number;
  close(): Promise<void>;
}

/** Tokenizer and positions of a model: what can be known before the device is opened. */
export interface TextFacts {
  readonly tokenizer: Tokenizer;
  readonly positions: number;
  readonly vocabulary: number;
}

/** @throws InputError for a directory without a model that prefgrad runs, or without its tokenizer */
export async function readTextFacts(files: FileSystem, model: string, adapter?: string): Promise<TextFacts> {
  const { path, tokenizer } = await locateModel(files, model, adapter);
  const directory = await ModelDirectory.open(files, path);
  await directory.close();
  const { maxPositions: positions, vocabSize: vocabulary } = describeModel(
    directory.config,
    `${path}/config.json`,
  ).config;
  return { tokenizer: await loadTokenizer(files, tokenizer), positions, vocabulary };
}

/** @throws InputError for whatever is wrong with the model, its adapter or the device that is asked for */
export async function openTextModel(
  runtime: Runtime,
  options: TextModelOptions,
  facts?: TextFacts,
): Promise<TextModel> {
  const { tokenizer, positions } =
    facts ?? (await readTextFacts(runtime.files, options.model, options.adapter));
  const gpu = await Gpu.open(runtime, { device: options.device });
  try {
    const { model, lora } = await loadWithAdapter(gpu, options.model, options.adapter, positions);
    const { maxSequences, cacheBytes } = options;
    const adapter = lora !== undefined;
    const engine = new Engine(gpu, model, { adapter, maxSequences, cacheBytes, maxPositions: positions });
    return {
      tokenizer,
      engine,
      gpu,
      positions,
      async close() {
        await engine.close();
        gpu.close();
      },
    };
  } catch (error) {
    gpu.close();
    throw error;
  }
}

/** The tokenizer's chat template, made when first needed. */
export function templateOf(tokenizer: Tokenizer): () => ChatTemplate {
  let template: ChatTemplate | undefined;
  return () => {
    template ??= new ChatTemplate(tokenizer);
    return template;
  };
}
