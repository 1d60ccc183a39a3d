/** A model that continues texts: `loadModel`, and `generate` for those who want answers and keep no model. */
import type { Turn } from '../data/conversations.ts';
import { InputError } from '../errors.ts';
import { submitText } from '../generate/text-generation.ts';
import { openTextModel, type TextModel, templateOf } from '../generate/text-model.ts';
import { detectRuntime } from '../runtime/index.ts';
import type { Runtime } from '../runtime/runtime.ts';

/** A prompt: text that is continued as it is, or messages that the tokenizer's chat template puts together. */
export type Prompt = string | readonly Message[];

export interface Message {
  readonly role: string;
  readonly content: string;
}

/** Names and defaults as in transformers' GenerationConfig, where it has them. */
export interface GenerationOptions {
  /** Default 256. */
  readonly max_new_tokens?: number;
  /** 0, the default, always takes the most probable token. */
  readonly temperature?: number;
  /** Draws from so many of the most probable tokens; 0, the default, from all. */
  readonly top_k?: number;
  readonly top_p?: number;
  readonly min_p?: number;
  readonly repetition_penalty?: number;
  /** Prompt i draws from stream i of the seed, whatever else is in the batch. Default 0. */
  readonly seed?: number;
  /** Strings that end an answer; they are no part of it. */
  readonly stop?: readonly string[];
  /** Told every piece of text as it comes, with the number of its prompt. */
  readonly onText?: (text: string, prompt: number) => void;
}

export interface LoadModelOptions {
  /** Model directory in the Hugging Face layout, or the directory of an adapter that names its base. */
  readonly model: string;
  /** Directory of a PEFT adapter on top of it. */
  readonly adapter?: string;
  /** The GPU: part of its name, or its number in the list of `prefgrad doctor`. Default: the best one. */
  readonly device?: string;
  /** Sequences that decode together. Default 8. */
  readonly batch_size?: number;
  /** Default: that of this process or page. */
  readonly runtime?: Runtime;
}

/** A model on a GPU of its own. */
export interface Model {
  /** Tokens of the longest text, prompt and answer together. */
  readonly max_position_embeddings: number;
  /** Continues every prompt. @returns the answers in order @throws InputError for a prompt that the model cannot take */
  generate(prompts: readonly Prompt[], options?: GenerationOptions): Promise<string[]>;
  /** Token ids of a prompt, with what the tokenizer puts before a text. */
  encode(prompt: Prompt): number[];
  decode(ids: readonly number[]): string;
  /** Frees the GPU. */
  close(): Promise<void>;
}

/** @throws InputError for whatever is wrong with the model, its adapter or the device that is asked for */
export async function loadModel(options: LoadModelOptions): Promise<Model> {
  const { model, adapter, device, batch_size: maxSequences = 8 } = options;
  const runtime = options.runtime ?? (await detectRuntime());
  const text = await openTextModel(runtime, { model, adapter, device, maxSequences });
  const encode = encoderOf(text);
  return {
    max_position_embeddings: text.positions,
    generate: async (prompts, settings = {}) => {
      const ids = prompts.map(encode);
      return Promise.all(ids.map((prompt, i) => answer(text, prompt, i, settings)));
    },
    encode: (prompt) => encode(prompt, 0),
    decode: (ids) => text.tokenizer.decode(ids, { atStart: true, skipSpecial: true }),
    close: () => text.close(),
  };
}

export interface GenerateOptions extends GenerationOptions, LoadModelOptions {
  readonly prompts: readonly Prompt[];
}

/** Loads a model, continues every prompt and lets go of the model. @returns the answers in order @throws InputError */
export async function generate(options: GenerateOptions): Promise<string[]> {
  const model = await loadModel(options);
  try {
    return await model.generate(options.prompts, options);
  } finally {
    await model.close();
  }
}

function encoderOf({ tokenizer }: TextModel): (prompt: Prompt, index: number) => number[] {
  const template = templateOf(tokenizer);
  return (prompt, index) =>
    typeof prompt === 'string'
      ? tokenizer.encodePrompt(prompt)
      : template().encode(prompt as readonly Turn[], [], { file: 'prompts', line: index + 1 }).promptIds;
}

async function answer(
  { engine, tokenizer }: TextModel,
  prompt: number[],
  index: number,
  options: GenerationOptions,
): Promise<string> {
  const { temperature, top_k, top_p, min_p, repetition_penalty, seed, stop, max_new_tokens = 256 } = options;
  const given = {
    temperature,
    topK: top_k,
    topP: top_p,
    minP: min_p,
    repetitionPenalty: repetition_penalty,
    seed,
  };
  const sampling = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  try {
    const generation = submitText(engine, tokenizer, {
      prompt,
      firstSample: index,
      maxTokens: max_new_tokens,
      sampling,
      stop,
      stopIds: tokenizer.eosIds,
    });
    let whole = '';
    for await (const event of generation) {
      if (event.kind === 'prompt') continue;
      whole += event.text;
      if (event.text !== '') options.onText?.(event.text, index);
    }
    return whole;
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`Prompt ${index + 1}: ${error.message}`);
    throw error;
  }
}
