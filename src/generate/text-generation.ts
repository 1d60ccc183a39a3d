/** A request to the engine whose answer is text: with stop strings, and the tokens that each piece of text was made of. */
import type { Tokenizer } from '../data/tokenizer.ts';
import type { ScoredToken } from '../ops/sampling/sample.ts';
import type { Engine } from './engine.ts';
import type { FinishReason, GenerationRequest } from './request.ts';
import { TextStream } from './text-stream.ts';

export interface TextRequest extends Omit<GenerationRequest, 'accept'> {
  /** Strings that end a continuation; neither they nor what follows is part of the text. */
  readonly stop?: readonly string[];
}

export type TextEvent =
  | { readonly kind: 'prompt'; readonly tokens: readonly ScoredToken[] }
  /** A token and the text that became certain with it, which may be none, or that of tokens before it. */
  | {
      readonly kind: 'text';
      readonly sample: number;
      readonly text: string;
      readonly token: number;
      readonly scored: ScoredToken | undefined;
    }
  /** The end of a continuation, with the text that was still waiting. */
  | { readonly kind: 'end'; readonly sample: number; readonly text: string; readonly reason: FinishReason };

export interface TextGeneration extends AsyncIterable<TextEvent> {
  cancel(): void;
}

/** @throws InputError as `Engine.submit` */
export function submitText(engine: Engine, tokenizer: Tokenizer, request: TextRequest): TextGeneration {
  const { stop = [], stopIds = [], n = 1, ...rest } = request;
  const samples = Array.from({ length: n }, () => {
    return { stream: new TextStream(tokenizer, stop), pieces: [] as string[] };
  });
  const generation = engine.submit({
    ...rest,
    n,
    stopIds,
    accept(sample, token) {
      const { stream, pieces } = samples[sample];
      // The token that ends a text is no part of it.
      pieces.push(stopIds.includes(token) ? '' : stream.push(token));
      return !stream.isStopped;
    },
  });
  return {
    cancel: () => generation.cancel(),
    async *[Symbol.asyncIterator]() {
      for await (const event of generation) {
        if (event.kind === 'prompt') {
          yield event;
          continue;
        }
        const { stream, pieces } = samples[event.sample];
        if (event.kind === 'token') yield { ...event, kind: 'text', text: pieces.shift() ?? '' };
        else yield { ...event, text: stream.end() };
      }
    },
  };
}
