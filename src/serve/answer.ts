/** From a body to requests of the engine, and from their events to choices: what completions and chats have in common. */
import { randomInt } from 'node:crypto';
import type { Tokenizer } from '../data/tokenizer.ts';
import { InputError } from '../errors.ts';
import type { Engine } from '../generate/engine.ts';
import type { FinishReason } from '../generate/request.ts';
import { submitText, type TextEvent, type TextRequest } from '../generate/text-generation.ts';
import type { ScoredToken } from '../ops/sampling/sample.ts';
import { HttpError } from './http.ts';
import type { ChatBody, CompletionBody } from './schema.ts';

/** What answers requests: a model, and the name under which it is known. */
export interface Served {
  readonly name: string;
  readonly tokenizer: Tokenizer;
  readonly engine: Engine;
}

/** What a request says about how texts are continued. */
export type Continuing = Omit<TextRequest, 'prompt' | 'maxTokens' | 'firstSample'>;

/** OpenAI's defaults: temperature 1, a seed of its own for every request. */
export function continuingOf(body: CompletionBody | ChatBody, tokenizer: Tokenizer): Continuing {
  const stop = typeof body.stop === 'string' ? [body.stop] : (body.stop ?? []);
  return {
    n: body.n ?? 1,
    stop,
    stopIds: [...(body.ignore_eos ? [] : tokenizer.eosIds), ...(body.stop_token_ids ?? [])],
    sampling: {
      temperature: body.temperature ?? 1,
      topP: body.top_p ?? 1,
      topK: Math.max(0, body.top_k ?? 0),
      minP: body.min_p ?? 0,
      repetitionPenalty: body.repetition_penalty ?? 1,
      // Seeds are 32-bit words; others are folded into one.
      seed: body.seed == null ? randomInt(2 ** 32) : body.seed >>> 0,
    },
  };
}

/** An event of one choice, numbered over all prompts of the request. */
export type ChoiceEvent = TextEvent & { readonly index: number };

/** A request on its way, for one prompt or several. */
export interface Answer extends AsyncIterable<ChoiceEvent> {
  readonly choices: number;
  readonly promptTokens: number;
  cancel(): void;
}

/** @throws HttpError 400 for prompts that cannot be continued; none is, then */
export function submitAll(
  { engine, tokenizer }: Served,
  prompts: readonly (readonly number[])[],
  maxTokens: number,
  continuing: Continuing,
): Answer {
  const { n = 1 } = continuing;
  const started: ReturnType<typeof submitText>[] = [];
  try {
    for (const [i, prompt] of prompts.entries())
      started.push(submitText(engine, tokenizer, { ...continuing, prompt, maxTokens, firstSample: i * n }));
  } catch (error) {
    for (const generation of started) generation.cancel();
    if (error instanceof InputError) throw new HttpError(400, error.message, { param: 'prompt' });
    throw error;
  }
  return {
    choices: n * prompts.length,
    promptTokens: prompts.reduce((sum, { length }) => sum + length, 0),
    cancel() {
      for (const generation of started) generation.cancel();
    },
    [Symbol.asyncIterator]: () => merged(started, n),
  };
}

/** Events of several generations in the order in which they come. */
async function* merged(
  generations: readonly ReturnType<typeof submitText>[],
  n: number,
): AsyncGenerator<ChoiceEvent> {
  const events: ChoiceEvent[] = [];
  let wake = () => {};
  const readers = generations.map(async (generation, i) => {
    for await (const event of generation) {
      events.push({ ...event, index: i * n + (event.kind === 'prompt' ? 0 : event.sample) });
      wake();
    }
  });
  let isDone = false;
  const all = Promise.all(readers).finally(() => {
    isDone = true;
    wake();
  });
  // A failure is thrown below, once the events before it have been read.
  all.catch(() => {});
  try {
    while (events.length > 0 || !isDone) {
      const event = events.shift();
      if (event !== undefined) yield event;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
    await all;
  } finally {
    for (const generation of generations) generation.cancel();
  }
}

/** OpenAI's word for why a text ended; undefined for one that was cancelled. */
export function finishReason(reason: FinishReason): 'stop' | 'length' | undefined {
  return reason === 'cancelled' ? undefined : reason;
}

/** A choice as it is collected where nothing is streamed. */
export interface Collected {
  text: string;
  tokens: number;
  scored: ScoredToken[];
  prompt: readonly ScoredToken[];
  reason: FinishReason;
}

/** Waits for the end of all choices. */
export async function collect(answer: Answer): Promise<Collected[]> {
  const choices = Array.from({ length: answer.choices }, (): Collected => {
    return { text: '', tokens: 0, scored: [], prompt: [], reason: 'cancelled' };
  });
  for await (const event of answer) {
    const choice = choices[event.index];
    if (event.kind === 'prompt') {
      choice.prompt = event.tokens;
      continue;
    }
    choice.text += event.text;
    if (event.kind === 'end') {
      choice.reason = event.reason;
      continue;
    }
    choice.tokens++;
    if (event.scored !== undefined) choice.scored.push(event.scored);
  }
  return choices;
}

export function usageOf(promptTokens: number, completionTokens: number) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}
