/** One POST of JSON: status, headers and the whole text, or an error that says what the network did. */
import { Agent, request } from 'undici';

export interface HttpAnswer {
  readonly status: number;
  /** Seconds that the server asks to wait (`Retry-After`, in seconds or as a date); undefined: it does not. */
  readonly retryAfter: number | undefined;
  readonly text: string;
}

/** The network failed, or the server closed before the answer was whole. Worth another try. */
export class NetworkError extends Error {
  override name = 'NetworkError';
}

/** Answers larger than this are cut off as an error: no completion is. */
const MOST_BYTES = 64 * 2 ** 20;

export class HttpClient {
  readonly #agent: Agent;
  readonly #timeoutSeconds: number;

  constructor(connections: number, timeoutSeconds: number) {
    // The signal limits a whole request; undici's own limits on headers and body would only hide that number.
    this.#agent = new Agent({ connections, headersTimeout: 0, bodyTimeout: 0, maxResponseSize: MOST_BYTES });
    this.#timeoutSeconds = timeoutSeconds;
  }

  /** @throws NetworkError */
  async postJson(url: string, body: unknown, headers: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    const signal = AbortSignal.timeout(1000 * this.#timeoutSeconds);
    try {
      const response = await request(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
        body: JSON.stringify(body),
        dispatcher: this.#agent,
        signal,
      });
      const after = response.headers['retry-after'];
      const retryAfter = readRetryAfter(Array.isArray(after) ? after[0] : after);
      return { status: response.statusCode, retryAfter, text: await response.body.text() };
    } catch (error) {
      if (signal.aborted) throw new NetworkError(`no answer within ${this.#timeoutSeconds} s`);
      throw new NetworkError(error instanceof Error ? error.message || error.name : String(error));
    }
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

/** RFC 9110, 10.2.3: seconds, or a date. */
export function readRetryAfter(value: string | undefined, now = Date.now()): number | undefined {
  if (value === undefined) return undefined;
  const seconds = /^\d+$/.test(value.trim()) ? Number(value) : (Date.parse(value) - now) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}
