/** A model on this machine's GPU as one that answers requests for text. */
import { InputError } from '../errors.ts';
import { submitText, type TextRequest } from '../generate/text-generation.ts';
import { type TextModel, templateOf } from '../generate/text-model.ts';
import type { LlmRequest } from '../llm/request.ts';
import type { LlmAnswer } from '../llm/response.ts';
import { LlmError } from '../llm/retry.ts';
import type { CompletionModel } from './completion-model.ts';

/** @param model stays the caller's, to be closed by it */
export function localModel({ engine, tokenizer }: Pick<TextModel, 'engine' | 'tokenizer'>): CompletionModel {
  const template = templateOf(tokenizer);
  const promptIds = (request: LlmRequest): readonly number[] => {
    if ('messages' in request) {
      return template().encode(
        request.messages.map((message) => ({ ...message })),
        [],
        NOWHERE,
      ).promptIds;
    }
    return typeof request.prompt === 'string' ? tokenizer.encodePrompt(request.prompt) : request.prompt;
  };
  // A prompt that the model cannot take is the fault of its row, as it is where an endpoint refuses it.
  const submitted = (request: TextRequest) => {
    try {
      return submitText(engine, tokenizer, request);
    } catch (error) {
      if (error instanceof InputError) throw new LlmError('The model on this machine', [error.message]);
      throw error;
    }
  };
  return {
    async complete(request): Promise<LlmAnswer> {
      const prompt = promptIds(request);
      const { temperature, topP = 1, seed = 0, stop, maxTokens } = request;
      const sampling = { temperature, topP, seed };
      const generation = submitted({ prompt, maxTokens, sampling, stop, stopIds: tokenizer.eosIds });
      let text = '';
      let tokens = 0;
      let finishReason = 'length';
      for await (const event of generation) {
        if (event.kind === 'prompt') continue;
        text += event.text;
        if (event.kind === 'text') tokens++;
        else finishReason = event.reason;
      }
      return { text, finishReason, promptTokens: prompt.length, completionTokens: tokens, cached: false };
    },
  };
}

/** Requests come from rows that were read long before. */
const NOWHERE = { file: 'the request', line: 1 };
