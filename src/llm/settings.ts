/** What the client must know of an endpoint, as people write it in a YAML file or on the command line. */
import * as z from 'zod';

/** Prices per million tokens. The unit is whatever `currency` says; nothing is converted. */
export const prices = z.strictObject({
  input: z.number().min(0).describe('price of a million prompt tokens'),
  output: z.number().min(0).describe('price of a million completion tokens'),
  currency: z.string().default('USD'),
});

export type Prices = z.infer<typeof prices>;

/** An OpenAI-compatible endpoint. Keys are the names of the official clients where these have one. */
export const endpointSettings = z.strictObject({
  base_url: z.url({ protocol: /^https?$/ }).describe('up to and with /v1, as the official clients take it'),
  model: z.string().min(1).describe('sent with every request'),
  api_key_env: z
    .string()
    .default('OPENAI_API_KEY')
    .describe('environment variable that holds the key; the key itself is never written anywhere'),
  concurrency: z.int().min(1).default(8).describe('requests under way at once'),
  timeout_seconds: z.number().positive().default(300).describe('for one whole request'),
  max_retries: z.int().min(0).default(5).describe('tries of a request after the first'),
  max_retry_seconds: z.number().min(0).default(60).describe('longest pause between two tries'),
  prices: prices.optional(),
});

export type EndpointSettings = z.infer<typeof endpointSettings>;
