/** What `prefgrad generate` does: prompts to tokens, a model to the GPU, tokens to text. */
import { ChatTemplate } from '../data/chat-template.ts';
import { RowReader } from '../data/columns.ts';
import { isConversation, readTurns } from '../data/conversations.ts';
import { loadTokenizer } from '../data/load-tokenizer.ts';
import { readRows } from '../data/sources/read-rows.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { InputError } from '../errors.ts';
import { ModelDirectory } from '../formats/model-directory.ts';
import { generate } from '../generate/generator.ts';
import { Gpu } from '../gpu/device.ts';
import { loadWithAdapter } from '../models/loading/load-with-adapter.ts';
import { describeModel } from '../models/registry.ts';
import type { FileSystem, Runtime } from '../runtime/runtime.ts';

export interface ContinueOptions {
  readonly model: string;
  /** Directory of a PEFT adapter. */
  readonly adapter?: string;
  readonly texts: readonly string[];
  /** A file with more prompts. */
  readonly file?: string;
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly seed: number;
  readonly batchSize: number;
  readonly device?: string;
}

export interface Continuation {
  readonly prompt: string;
  readonly completion: string;
  /** New tokens, with the one that ended the text. */
  readonly token_ids: readonly number[];
}

interface Prompt {
  readonly text: string;
  readonly ids: readonly number[];
}

/** @throws InputError for whatever is wrong with the model or the prompts, before the device is opened */
export async function continuePrompts(runtime: Runtime, options: ContinueOptions): Promise<Continuation[]> {
  const { files } = runtime;
  const positions = await positionsOf(files, options.model);
  const tokenizer = await loadTokenizer(files, options.model);
  const prompts = options.texts.map((text): Prompt => ({ text, ids: tokenizer.encodePrompt(text) }));
  if (options.file !== undefined) prompts.push(...(await readPrompts(files, options.file, tokenizer)));
  prompts.forEach(({ ids }, i) => {
    if (ids.length === 0) throw new InputError(`Prompt ${i + 1} has no tokens.`);
    if (ids.length < positions) return;
    throw new InputError(
      `Prompt ${i + 1} has ${ids.length} tokens, but the model has ${positions} positions.`,
    );
  });

  const gpu = await Gpu.open(runtime, { device: options.device });
  try {
    const loaded = await loadWithAdapter(gpu, options.model, options.adapter, positions);
    const results = await generate(
      gpu,
      loaded.model,
      prompts.map(({ ids }) => ids),
      { ...options, eosIds: tokenizer.eosIds, adapter: options.adapter !== undefined },
    );
    return results.map((ids, i) => ({
      prompt: prompts[i].text,
      completion: tokenizer.decode(ids, { skipSpecial: true }),
      token_ids: ids,
    }));
  } finally {
    gpu.close();
  }
}

/** One JSON line per continuation; the file takes its name when it is complete. */
export async function writeContinuations(
  files: FileSystem,
  path: string,
  continuations: readonly Continuation[],
): Promise<void> {
  const sink = await files.create(`${path}.tmp`);
  for (const continuation of continuations) await sink.write(`${JSON.stringify(continuation)}\n`);
  await sink.close();
  await files.rename(`${path}.tmp`, path);
}

async function positionsOf(files: FileSystem, path: string): Promise<number> {
  const directory = await ModelDirectory.open(files, path);
  await directory.close();
  return describeModel(directory.config, `${path}/config.json`).config.maxPositions;
}

async function readPrompts(files: FileSystem, path: string, tokenizer: Tokenizer): Promise<Prompt[]> {
  const prompts: Prompt[] = [];
  let template: ChatTemplate | undefined;
  for await (const raw of readRows(files, path)) {
    const row = new RowReader(raw, {});
    const value = row.get('prompt');
    if (typeof value === 'string') {
      prompts.push({ text: value, ids: tokenizer.encodePrompt(value) });
    } else if (isConversation(value)) {
      template ??= new ChatTemplate(tokenizer);
      const { promptText, promptIds } = template.encode(readTurns(row, 'prompt'), [], raw);
      prompts.push({ text: promptText, ids: promptIds });
    } else throw row.missing('prompt');
  }
  if (prompts.length === 0) throw new InputError(`${path}: there are no prompts in it.`);
  return prompts;
}
