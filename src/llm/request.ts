/** A request for text, and the body of OpenAI's HTTP interface that asks for it. */

/** One message of a chat. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface SamplingSettings {
  readonly maxTokens: number;
  /** 0 takes the most probable token. */
  readonly temperature: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  /** An empty text is an answer, too: a small model may stop at once. Not sent. */
  readonly mayBeEmpty?: boolean;
}

/** A chat, or a text (or its token ids) to be continued as it is. */
export type LlmRequest = SamplingSettings &
  ({ readonly messages: readonly ChatMessage[] } | { readonly prompt: string | readonly number[] });

/** Path under the base URL, and body. Keys are in a fixed order, since the cache hashes the text. */
export interface WireRequest {
  readonly path: '/chat/completions' | '/completions' | '/embeddings';
  readonly body: Readonly<Record<string, unknown>>;
}

export function wireRequest(model: string, request: LlmRequest): WireRequest {
  const sampling = {
    max_tokens: request.maxTokens,
    temperature: request.temperature,
    ...(request.topP === undefined ? {} : { top_p: request.topP }),
    ...(request.seed === undefined ? {} : { seed: request.seed }),
    ...(request.stop === undefined || request.stop.length === 0 ? {} : { stop: request.stop }),
  };
  return 'messages' in request
    ? { path: '/chat/completions', body: { model, messages: request.messages, ...sampling } }
    : { path: '/completions', body: { model, prompt: request.prompt, ...sampling } };
}

/** Rough size of a request in tokens before anybody has counted: four characters each, and four for every message. */
export function estimatePromptTokens(request: LlmRequest): number {
  if ('messages' in request) {
    return request.messages.reduce((sum, { content }) => sum + 4 + Math.ceil(content.length / 4), 0);
  }
  return typeof request.prompt === 'string' ? Math.ceil(request.prompt.length / 4) : request.prompt.length;
}
