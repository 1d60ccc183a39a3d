/** Which failures are worth another try, and how long to wait for it. */
import { InputError, RunError } from '../errors.ts';
import { type HttpAnswer, NetworkError } from './http.ts';
import { ResponseError, shortened } from './response.ts';

/** The endpoint refused a request, or failed at every try. Other requests may do better. */
export class LlmError extends RunError {
  override name = 'LlmError';
  /** What went wrong at each try, in order. */
  readonly attempts: readonly string[];

  constructor(what: string, attempts: readonly string[]) {
    const tries = attempts.length === 1 ? '1 try' : `${attempts.length} tries`;
    super(`${what}: no answer after ${tries}; the last: ${attempts.at(-1)}`);
    this.attempts = attempts;
  }
}

/** Statuses with which servers say 'later': overloaded, not ready, broken for the moment. */
const LATER = new Set([408, 409, 425, 429]);

/** Thrown inside a try: this one failed, the next may not. */
export class TryAgain extends Error {
  readonly retryAfter: number | undefined;

  constructor(message: string, retryAfter?: number) {
    super(message);
    this.retryAfter = retryAfter;
  }
}

/**
 * Passes a good answer.
 * @param remedy what helps against a refused key
 * @throws TryAgain, LlmError for a request that is refused, InputError where all would be
 */
export function checkStatus(url: string, remedy: string, { status, text, retryAfter }: HttpAnswer): void {
  if (status >= 200 && status < 300) return;
  const said = `HTTP ${status}: ${shortened(errorMessage(text))}`;
  if (LATER.has(status) || status >= 500) throw new TryAgain(said, retryAfter);
  if (status === 401 || status === 403) {
    throw new InputError(`${url}: ${said}. ${remedy}`);
  }
  if (status === 404 || status === 405) {
    throw new InputError(
      `${url}: ${said}. Check the model's name and the base URL, which usually ends in /v1.`,
    );
  }
  throw new LlmError(url, [said]);
}

/** Runs `attempt` until it answers. @throws what `attempt` throws, LlmError when the tries are used up */
export async function withRetries<T>(
  what: string,
  limits: { readonly retries: number; readonly longestSeconds: number },
  wait: (seconds: number) => Promise<void>,
  attempt: () => Promise<T>,
): Promise<T> {
  const failures: string[] = [];
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const again =
        error instanceof TryAgain || error instanceof NetworkError || error instanceof ResponseError;
      if (!again) throw error;
      failures.push(error.message);
      if (failures.length > limits.retries) throw new LlmError(what, failures);
      const asked = error instanceof TryAgain ? error.retryAfter : undefined;
      await wait(pause(failures.length, asked, limits.longestSeconds));
    }
  }
}

/** Seconds before try n + 1: what the server asked for, else 0.5, 1, 2, ... of which a random half is left out. */
export function pause(
  failures: number,
  asked: number | undefined,
  longest: number,
  random = Math.random(),
): number {
  if (asked !== undefined) return Math.min(asked, longest);
  return Math.min(0.5 * 2 ** (failures - 1), longest) * (0.5 + 0.5 * random);
}

/** The message of OpenAI's error object, else the text. */
function errorMessage(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    const error = typeof value === 'object' && value !== null && 'error' in value ? value.error : undefined;
    if (typeof error === 'string') return error;
    if (typeof error === 'object' && error !== null && 'message' in error) return String(error.message);
  } catch {
    // Not JSON: a proxy's page, say.
  }
  return text;
}
