/** What an endpoint answered, checked. Servers differ in everything that is optional, so little is demanded. */
import * as z from 'zod';

/** The answer is not one: rubbish, half of something, or empty. Worth another try. */
export class ResponseError extends Error {
  override name = 'ResponseError';
}

/** Text of a completion, with what it cost. */
export interface LlmAnswer {
  readonly text: string;
  /** 'stop', 'length', 'content_filter', ...; 'unknown' where the server does not say. */
  readonly finishReason: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
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
  usage: z.object({ prompt_tokens: z.number() }).nullish(),
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
export function parseEmbeddings(raw: string, count: number): { vectors: number[][]; promptTokens: number } {
  const value = readAs(embeddings, raw);
  if (value.data.length !== count) {
    throw new ResponseError(`${value.data.length} embeddings came for ${count} texts`);
  }
  const ordered = value.data.map((item, i) => ({ ...item, index: item.index ?? i }));
  ordered.sort((a, b) => a.index - b.index);
  return { vectors: ordered.map((item) => item.embedding), promptTokens: value.usage?.prompt_tokens ?? 0 };
}

function readAs<T>(schema: z.ZodType<T>, raw: string): T {
  let value: unknown;
  try {
    value = JSON.parse(raw);
  } catch {
    throw new ResponseError(`the answer is not JSON: ${shortened(raw)}`);
  }
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
