/** What is asked of the engine, and what it answers. */
import type { SamplingOptions, ScoredToken } from '../ops/sampling/sample.ts';

/** Always the most probable token. */
export const GREEDY: SamplingOptions = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  seed: 0,
};

/** One prompt and how it is to be continued. */
export interface GenerationRequest {
  /** At least one token id. */
  readonly prompt: readonly number[];
  /** Continuations; the prompt is computed once for all of them. Default 1. */
  readonly n?: number;
  /** Random numbers of continuation i are those of stream firstSample + i of the seed. Default 0. */
  readonly firstSample?: number;
  /** Most new tokens of each continuation; 0 computes the prompt only. */
  readonly maxTokens: number;
  /** Default: greedy. */
  readonly sampling?: Partial<SamplingOptions>;
  /** Ids that end a continuation; the ending id is told like any other. */
  readonly stopIds?: readonly number[];
  /** Log-probs of drawn tokens, with those of so many of the most probable; at most TOP_LOGPROBS. Default: none. */
  readonly logprobs?: number;
  /** Log-probs of the prompt's own tokens, each with its most probable alternatives. Default false. */
  readonly promptLogprobs?: boolean;
  /** Told every token at once, before it is handed on; false ends the continuation there (stop strings). */
  readonly accept?: (sample: number, token: number) => boolean;
}

/** 'stop': a stop id, or `accept` said so. 'length': maxTokens or the model's positions are used up. */
export type FinishReason = 'stop' | 'length' | 'cancelled';

export type GenerationEvent =
  /** Log-probs of prompt tokens 1, 2, ... (nothing predicts token 0). */
  | { readonly kind: 'prompt'; readonly tokens: readonly ScoredToken[] }
  | {
      readonly kind: 'token';
      readonly sample: number;
      readonly token: number;
      /** Where log-probs were asked for. */
      readonly scored: ScoredToken | undefined;
    }
  | { readonly kind: 'end'; readonly sample: number; readonly reason: FinishReason };
