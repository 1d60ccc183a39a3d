/** What an endpoint answered, checked. Servers differ in everything that is optional, so little is demanded. */
import * as z from 'zod';
import type { Tokens } from './ledger.ts';

/** The answer is not one: rubbish, half of something, or empty. Worth another try. */
export class ResponseError extends Error {
  override name = 'ResponseError';
}

/** Text of a completion, with what it cost. */
export interface LlmAnswer extends Tokens {
  readonly text: string;
  /** 'stop', 'length', 'content_filter', ...; 'unknown' where the server does not say. */
  readonly finishReason: string;
  /** True where it came from the disk and cost nothing. */
  readonly cached: boolean;
}

const usage = z.object({ prompt_tokens: z.number(), completion_tokens: z.number().default(0) });
const completion = z.object({
  choices: z.array(
    z.object({
      text: z.string().nullish(),
      message: z.object({ content: z.string().nullish() }).nullish(),
      finish_reason: z.string().nullish(),
    }),
  ),
  usage: usage.nullish(),
});
const embeddings = z.object({
  data: z.array(z.object({ embedding: z.array(z.number()).min(1), index: z.int().optional() })),
});

/** @throws ResponseError saying what is wrong with the text */
export function parseCompletion(
  raw: string,
  mayBeEmpty = false,
): Omit<LlmAnswer, 'cached'> & { readonly counted: boolean } {
  const value = readAs(completion, raw);
  const choice = value.choices[0];
  if (choice === undefined) throw new ResponseError('the answer has no choices');
  const text = choice.message?.content ?? choice.text ?? undefined;
  if (text === undefined || (text.trim() === '' && !mayBeEmpty)) {
    throw new ResponseError(
      `the answer's text is empty (finish_reason ${JSON.stringify(choice.finish_reason ?? null)})`,
    );
  }
  return {
    text,
    finishReason: choice.finish_reason ?? 'unknown',
    promptTokens: value.usage?.prompt_tokens ?? 0,
    completionTokens: value.usage?.completion_tokens ?? Math.ceil(text.length / 4),
    counted: value.usage !== null && value.usage !== undefined,
  };
}

/** One vector per input, in order. @throws ResponseError */
export function parseEmbeddings(raw: string, count: number): number[][] {
  const value = readAs(embeddings, raw);
  if (value.data.length !== count) {
    throw new ResponseError(`${value.data.length} embeddings came for ${count} texts`);
  }
  const ordered = value.data.map((item, i) => ({ ...item, index: item.index ?? i }));
  ordered.sort((a, b) => a.index - b.index);
  return ordered.map((item) => item.embedding);
}

/**
 * What an answer used, whatever it is: by its own count, else guessed at four characters a token, of which a completion has
 * at most as many as were asked for.
 */
export function usageOf(
  raw: string,
  promptTokens: number,
  mostCompletionTokens: number,
): Tokens & { readonly counted: boolean } {
  const value = jsonOf(raw);
  const said = z.object({ usage }).safeParse(value);
  if (said.success) {
    const { prompt_tokens, completion_tokens } = said.data.usage;
    return { promptTokens: prompt_tokens, completionTokens: completion_tokens, counted: true };
  }
  const choice = completion.safeParse(value).data?.choices[0];
  const text = choice === undefined ? raw : (choice.message?.content ?? choice.text ?? '');
  const completionTokens = Math.min(Math.ceil(text.length / 4), mostCompletionTokens);
  return { promptTokens, completionTokens, counted: false };
}

/** undefined for what is no JSON. */
function jsonOf(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    return undefined;
  }
}

function readAs<T>(schema: z.ZodType<T>, raw: string): T {
  const value = jsonOf(raw);
  if (value === undefined) throw new ResponseError(`the answer is not JSON: ${shortened(raw)}`);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue === undefined ? '' : ` (${issue.path.join('.') || 'top level'}: ${issue.message})`;
  throw new ResponseError(`the answer is JSON, but not as OpenAI's${where}: ${shortened(raw)}`);
}

/** The beginning of a text on one line, quoted. */
export function shortened(text: string, most = 120): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return JSON.stringify(line.length > most ? `${line.slice(0, most)}...` : line);
}
