/**
 * Bodies of requests. Fields of OpenAI's API that would change the answer and are not supported are refused where they are
 * set; those that are unknown are ignored, as other servers do. top_k, min_p, repetition_penalty, stop_token_ids and
 * ignore_eos are named as in vLLM.
 */
import { z } from 'zod';
import { HttpError } from './http.ts';

/** Most continuations of one request. */
const MOST_CHOICES = 128;

const tokenIds = z.array(z.int().min(0)).min(1);
const unset = z
  .unknown()
  .optional()
  .refine((value) => value == null || value === 0 || isEmpty(value), 'not supported; leave it out');

/** Fields that both kinds of requests have. */
const common = {
  model: z.string().optional(),
  max_tokens: z.int().min(0).nullish(),
  temperature: z.number().min(0).max(100).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.int().min(-1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().gt(0).nullish(),
  seed: z.int().nullish(),
  n: z.int().min(1).max(MOST_CHOICES).nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(64)]).nullish(),
  stop_token_ids: z.array(z.int().min(0)).nullish(),
  ignore_eos: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  presence_penalty: unset,
  frequency_penalty: unset,
  logit_bias: unset,
};

export const completionSchema = z.looseObject({
  ...common,
  prompt: z.union([z.string(), tokenIds, z.array(z.string()).min(1), z.array(tokenIds).min(1)], {
    error: 'expected a string, a list of strings, a list of token ids, or a list of such lists',
  }),
  logprobs: z.int().min(0).max(20).nullish(),
  echo: z.boolean().nullish(),
  suffix: unset,
  best_of: z.int().nullish(),
});

const content = z.union([z.string(), z.array(z.looseObject({ type: z.literal('text'), text: z.string() }))], {
  error: 'expected text, or a list of parts of type text',
});

export const chatSchema = z.looseObject({
  ...common,
  messages: z.array(z.looseObject({ role: z.string().min(1), content: content.nullish() })).min(1),
  max_completion_tokens: z.int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  tools: unset,
  functions: unset,
  response_format: z
    .looseObject({ type: z.string() })
    .nullish()
    .refine((format) => format == null || format.type === 'text', 'only {"type": "text"} is supported'),
});

export type CompletionBody = z.infer<typeof completionSchema>;
export type ChatBody = z.infer<typeof chatSchema>;

/** @throws HttpError 400 that names the first field that is wrong */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const param = issue.path.join('.') || null;
  throw new HttpError(400, param === null ? issue.message : `${param}: ${issue.message}`, { param });
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
