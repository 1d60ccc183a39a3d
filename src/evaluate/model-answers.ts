/** Answers of a model of ours: the one place where evaluation meets the generation engine. */
import { ChatTemplate } from '../data/chat-template.ts';
import { loadTokenizer } from '../data/load-tokenizer.ts';
import { InputError } from '../errors.ts';
import { ModelDirectory } from '../formats/model-directory.ts';
import { locateModel } from '../formats/model-location.ts';
import { generate } from '../generate/generator.ts';
import { Gpu } from '../gpu/device.ts';
import { loadWithAdapter } from '../models/loading/load-with-adapter.ts';
import { describeModel } from '../models/registry.ts';
import type { Prompt } from '../preferences/dialogue.ts';
import { shareOut } from '../runtime/in-order.ts';
import type { Runtime } from '../runtime/runtime.ts';

export interface ModelAnswerOptions {
  readonly model: string;
  /** Directory of a PEFT adapter. */
  readonly adapter?: string;
  readonly device?: string;
  readonly maxNewTokens: number;
  /** 0 takes the most probable token. */
  readonly temperature: number;
  readonly seed: number;
  readonly batchSize: number;
}

export interface ModelAnswer {
  readonly text: string;
  /** With the token that ended the answer. */
  readonly tokens: number;
}

/**
 * Continues every prompt: a text as it is, messages through the tokenizer's chat template. Of several ranks each takes a share.
 * @throws InputError for a prompt that fills the model's positions, before the device is opened
 */
export async function answerWithModel(
  runtime: Runtime,
  prompts: readonly Prompt[],
  options: ModelAnswerOptions,
): Promise<ModelAnswer[]> {
  const { files } = runtime;
  const { path, tokenizer: tokenizerPath } = await locateModel(files, options.model, options.adapter);
  const directory = await ModelDirectory.open(files, path);
  await directory.close();
  const { maxPositions } = describeModel(directory.config, `${path}/config.json`).config;
  const tokenizer = await loadTokenizer(files, tokenizerPath);
  let template: ChatTemplate | undefined;
  const ids = prompts.map((prompt, i) => {
    if (typeof prompt === 'string') return tokenizer.encodePrompt(prompt);
    template ??= new ChatTemplate(tokenizer);
    return template.encode(prompt, [], { file: 'prompts', line: i + 1 }).promptIds;
  });
  const tooLong = ids.findIndex(({ length }) => length >= maxPositions);
  if (tooLong >= 0) {
    throw new InputError(
      `Question ${tooLong + 1} has ${ids[tooLong].length} tokens with its prompt, but the model has ` +
        `${maxPositions} positions; leave it out or take a model with more.`,
    );
  }
  const gpu = await Gpu.open(runtime, { device: options.device });
  try {
    const { model, lora } = await loadWithAdapter(gpu, options.model, options.adapter, maxPositions);
    const { maxNewTokens, temperature, seed, batchSize } = options;
    const sampling = { temperature, seed, eosIds: tokenizer.eosIds, adapter: lora !== undefined };
    const answers = await shareOut(runtime.ranks, ids, (own, streams) =>
      generate(gpu, model, own, { ...sampling, maxNewTokens, batchSize, streams }),
    );
    return answers.map((answer) => ({
      text: tokenizer.decode(answer, { skipSpecial: true }),
      tokens: answer.length,
    }));
  } finally {
    gpu.close();
  }
}
