/** POST /v1/chat/completions. */
import type { ChatTemplate } from '../data/chat-template.ts';
import type { Turn } from '../data/conversations.ts';
import { InputError } from '../errors.ts';
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
import { type ChatBody, chatSchema, parseBody } from './schema.ts';

/** A request that was understood and is being answered. */
export interface Chat {
  readonly answer: Answer;
  readonly body: ChatBody;
}

/** @throws HttpError 400 for a body that is wrong, or messages that the template refuses */
export function startChat(served: Served, template: () => ChatTemplate, raw: unknown): Chat {
  const body = parseBody(chatSchema, raw);
  if (body.top_logprobs != null && !body.logprobs)
    throw new HttpError(400, 'top_logprobs: needs logprobs: true', { param: 'top_logprobs' });
  const ids = encode(template, body);
  const most = Math.max(0, served.engine.maxPositions - ids.length);
  const maxTokens = Math.max(1, Math.min(body.max_completion_tokens ?? body.max_tokens ?? most, most));
  const answer = submitAll(served, [ids], maxTokens, {
    ...continuingOf(body, served.tokenizer),
    logprobs: body.logprobs ? (body.top_logprobs ?? 0) : undefined,
  });
  return { answer, body };
}

/** Where the template's errors say that the conversation is. */
const WHERE = { file: 'messages', line: 1 };

function encode(template: () => ChatTemplate, { messages }: ChatBody): number[] {
  const turns = messages.map(({ content, ...message }): Turn => {
    const text = Array.isArray(content) ? content.map((part) => part.text).join('') : (content ?? '');
    return { ...message, content: text };
  });
  try {
    return template().encode(turns, [], WHERE).promptIds;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const message = error.message.replace(`${WHERE.file}:${WHERE.line}: `, '');
    throw new HttpError(400, message, { param: 'messages' });
  }
}

export async function sendChat(served: Served, { answer, body }: Chat): Promise<object> {
  const collected = await collect(answer);
  const choices = collected.map(({ text, scored, reason }, index) => ({
    index,
    message: { role: 'assistant', content: text, refusal: null },
    logprobs: body.logprobs ? logprobsOf(served, scored) : null,
    finish_reason: finishReason(reason),
  }));
  const tokens = collected.reduce((sum, choice) => sum + choice.tokens, 0);
  return { ...head(served, 'chat.completion'), choices, usage: usageOf(answer.promptTokens, tokens) };
}

export async function streamChat(served: Served, { answer, body }: Chat, events: EventStream): Promise<void> {
  const shared = head(served, 'chat.completion.chunk');
  const send = (
    index: number,
    delta: object,
    finish_reason: string | null,
    scored: readonly ScoredToken[] = [],
  ) => {
    const logprobs = body.logprobs && scored.length > 0 ? logprobsOf(served, scored) : null;
    return events.send({ ...shared, choices: [{ index, delta, logprobs, finish_reason }] });
  };
  for (let index = 0; index < answer.choices; index++)
    await send(index, { role: 'assistant', content: '' }, null);
  let tokens = 0;
  for await (const event of answer) {
    if (event.kind === 'prompt') continue;
    const { index, text } = event;
    if (event.kind === 'end') {
      if (text !== '') await send(index, { content: text }, null);
      await send(index, {}, finishReason(event.reason) ?? null);
      continue;
    }
    tokens++;
    const scored = event.scored === undefined ? [] : [event.scored];
    if (text !== '' || scored.length > 0) await send(index, { content: text }, null, scored);
  }
  if (body.stream_options?.include_usage)
    await events.send({ ...shared, choices: [], usage: usageOf(answer.promptTokens, tokens) });
}

function head({ name }: Served, object: string) {
  return {
    id: `chatcmpl-${crypto.randomUUID()}`,
    object,
    created: Math.floor(Date.now() / 1000),
    model: name,
  };
}

/** Log-probs in the form of the chat API. */
function logprobsOf({ tokenizer }: Served, scored: readonly ScoredToken[]) {
  const one = ({ token, logprob }: { readonly token: number; readonly logprob: number }) => {
    const text = tokenizer.tokenText(token);
    return { token: text, logprob, bytes: [...Buffer.from(text)] };
  };
  return {
    content: scored.map((token) => ({ ...one(token), top_logprobs: token.top.map(one) })),
    refusal: null,
  };
}
