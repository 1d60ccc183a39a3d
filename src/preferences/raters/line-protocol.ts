/**
 * Raters outside of this program, as a command or an HTTP endpoint. What they are sent is {"prompt", "answers"}, a line of
 * JSON or the body of a POST, prompts as text or messages; what they send back is {"scores": [...]}, one per answer.
 */
import * as z from 'zod';
import { HttpClient } from '../../llm/http.ts';
import { ResponseError, shortened } from '../../llm/response.ts';
import { checkStatus, withRetries } from '../../llm/retry.ts';
import type { Rater, RatingTask } from './rater.ts';

const answer = z.object({ scores: z.array(z.number()) });

export function ratingLine({ prompt, answers }: RatingTask): string {
  return JSON.stringify({ prompt, answers });
}

/** @throws ResponseError where the text is no answer, or has another number of scores */
export function parseScores(text: string, count: number): readonly number[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ResponseError(`the rater's answer is not JSON: ${shortened(text)}`);
  }
  const result = answer.safeParse(value);
  if (!result.success)
    throw new ResponseError(`the rater's answer has no list of 'scores': ${shortened(text)}`);
  if (result.data.scores.length === count) return result.data.scores;
  throw new ResponseError(`the rater gave ${result.data.scores.length} scores for ${count} answers`);
}

export interface HttpRaterOptions {
  readonly url: string;
  readonly concurrency: number;
  readonly timeoutSeconds: number;
  readonly retries: number;
  readonly wait: (seconds: number) => Promise<void>;
}

export function httpRater({ url, concurrency, timeoutSeconds, retries, wait }: HttpRaterOptions): Rater {
  const http = new HttpClient(concurrency, timeoutSeconds);
  return {
    settings: { kind: 'http', url },
    rate: (task) =>
      withRetries(url, { retries, longestSeconds: 60 }, wait, async () => {
        const response = await http.postJson(url, { prompt: task.prompt, answers: task.answers }, {});
        checkStatus(url, 'A rater is sent no key; put it behind one that needs none.', response);
        return parseScores(response.text, task.answers.length);
      }),
    close: () => http.close(),
  };
}
