/** An endpoint for tests, on loopback: a function answers, and may answer as badly as it likes. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface LlmCall {
  readonly path: string;
  readonly body: Record<string, unknown>;
  readonly headers: IncomingMessage['headers'];
}

export interface LlmServer {
  /** Base URL, ending in /v1. */
  readonly url: string;
  readonly calls: LlmCall[];
  close(): Promise<void>;
}

/** @param answer gives the text of a completion, or writes the response itself and gives undefined */
export async function llmServer(
  answer: (call: LlmCall, response: ServerResponse, count: number) => string | undefined,
): Promise<LlmServer> {
  const calls: LlmCall[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      const call = {
        path: request.url ?? '',
        body: JSON.parse(text) as LlmCall['body'],
        headers: request.headers,
      };
      calls.push(call);
      const content = answer(call, response, calls.length);
      if (content !== undefined) response.end(completionBody(call.path, content));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    calls,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function completionBody(path: string, content: string): string {
  const choice = path.endsWith('/chat/completions')
    ? { message: { role: 'assistant', content } }
    : { text: content };
  return JSON.stringify({
    choices: [{ index: 0, finish_reason: 'stop', ...choice }],
    usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
  });
}
