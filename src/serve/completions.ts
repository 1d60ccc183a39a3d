/** POST /v1/completions. */
import type { Tokenizer } from '../data/tokenizer.ts';
import { PROMPT_TOP_LOGPROBS } from '../generate/model-runner.ts';
import type { ScoredToken } from '../ops/sampling/sample.ts';
import {
  type Answer,
  collect,
  continuingOf,
  finishReason,
  type Served,
  submitAll,
  usageOf,
} from './answer.ts';
import { type EventStream, HttpError } from './http.ts';
import { type CompletionBody, completionSchema, parseBody } from './schema.ts';

/** OpenAI's default. */
const MAX_TOKENS = 16;

interface Prompt {
  readonly ids: readonly number[];
  readonly text: string;
}

/** A request that was understood and is being answered. */
export interface Completion {
  readonly answer: Answer;
  readonly body: CompletionBody;
  readonly prompts: readonly Prompt[];
}

/** @throws HttpError 400 for a body that is wrong */
export function startCompletion(served: Served, raw: unknown): Completion {
  const body = parseBody(completionSchema, raw);
  if (body.best_of != null && body.best_of !== (body.n ?? 1))
    throw new HttpError(400, 'best_of: is not supported beyond n; leave it out', { param: 'best_of' });
  if (body.echo && body.stream)
    throw new HttpError(400, 'echo: is not supported with stream; leave one of them out', { param: 'echo' });
  if (body.echo && (body.logprobs ?? 0) > PROMPT_TOP_LOGPROBS)
    throw new HttpError(400, `logprobs: at most ${PROMPT_TOP_LOGPROBS} with echo`, { param: 'logprobs' });
  const prompts = promptsOf(served, body);
  const answer = submitAll(
    served,
    prompts.map(({ ids }) => ids),
    body.max_tokens ?? MAX_TOKENS,
    {
      ...continuingOf(body, served.tokenizer),
      logprobs: body.logprobs ?? undefined,
      promptLogprobs: body.echo === true && body.logprobs != null,
    },
  );
  return { answer, body, prompts };
}

function promptsOf({ tokenizer }: Served, { prompt }: CompletionBody): Prompt[] {
  const list = typeof prompt === 'string' ? [prompt] : prompt;
  const isOne = typeof list[0] === 'number';
  return (isOne ? [list as number[]] : (list as (string | number[])[])).map((one): Prompt => {
    if (typeof one === 'string') return { ids: tokenizer.encodePrompt(one), text: one };
    return { ids: one, text: tokenizer.decode(one, { atStart: true, skipSpecial: true }) };
  });
}

export async function sendCompletion(served: Served, { answer, body, prompts }: Completion): Promise<object> {
  const collected = await collect(answer);
  const n = body.n ?? 1;
  const choices = collected.map((choice, index) => {
    const prompt = prompts[Math.floor(index / n)];
    // Samples of one prompt share its log-probs, which come with the first.
    const { prompt: promptScores } = collected[index - (index % n)];
    const echoed = body.echo ? [unscored(prompt.ids[0]), ...promptScores] : [];
    return {
      index,
      text: (body.echo ? prompt.text : '') + choice.text,
      finish_reason: finishReason(choice.reason),
      logprobs:
        body.logprobs == null ? null : logprobsOf(served, [...echoed, ...choice.scored], body.logprobs, 0),
    };
  });
  const tokens = collected.reduce((sum, choice) => sum + choice.tokens, 0);
  return { ...head(served), choices, usage: usageOf(answer.promptTokens, tokens) };
}

export async function streamCompletion(
  served: Served,
  { answer, body }: Completion,
  events: EventStream,
): Promise<void> {
  const shared = head(served);
  const offsets = new Array<number>(answer.choices).fill(0);
  let tokens = 0;
  for await (const event of answer) {
    if (event.kind === 'prompt') continue;
    const { index, text } = event;
    const scored = event.kind === 'text' && event.scored !== undefined ? [event.scored] : [];
    if (event.kind === 'text') tokens++;
    if (event.kind === 'text' && text === '' && scored.length === 0) continue;
    const logprobs = body.logprobs == null ? null : logprobsOf(served, scored, body.logprobs, offsets[index]);
    for (const { token } of scored) offsets[index] += served.tokenizer.tokenText(token).length;
    const finish_reason = event.kind === 'end' ? finishReason(event.reason) : null;
    await events.send({ ...shared, choices: [{ index, text, logprobs, finish_reason }] });
  }
  if (body.stream_options?.include_usage)
    await events.send({ ...shared, choices: [], usage: usageOf(answer.promptTokens, tokens) });
}

function head({ name }: Served) {
  return {
    id: `cmpl-${crypto.randomUUID()}`,
    object: 'text_completion',
    created: Math.floor(Date.now() / 1000),
    model: name,
  };
}

/** The first token of a prompt, which nothing predicts. */
function unscored(token: number): ScoredToken {
  return { token, logprob: Number.NaN, top: [] };
}

/** Log-probs in the form of the completions API: lists side by side, null where there are none. */
function logprobsOf({ tokenizer }: Served, scored: readonly ScoredToken[], topCount: number, offset: number) {
  const tokens = scored.map(({ token }) => tokenizer.tokenText(token));
  let end = offset;
  const text_offset = tokens.map((text) => {
    const start = end;
    end += text.length;
    return start;
  });
  return {
    tokens,
    token_logprobs: scored.map(({ logprob }) => (Number.isNaN(logprob) ? null : logprob)),
    top_logprobs:
      topCount === 0
        ? null
        : scored.map((token) => (Number.isNaN(token.logprob) ? null : topOf(tokenizer, token, topCount))),
    text_offset,
  };
}

/** By text, the token itself and the most probable ones; of tokens with the same text the likelier one. */
function topOf(tokenizer: Tokenizer, { token, logprob, top }: ScoredToken, topCount: number) {
  const rising = [...top.slice(0, topCount), { token, logprob }].toSorted((a, b) => a.logprob - b.logprob);
  return Object.fromEntries(rising.map((t) => [tokenizer.tokenText(t.token), t.logprob]));
}
