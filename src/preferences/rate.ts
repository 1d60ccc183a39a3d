/**
 * `prefgrad rate`: scores for the answers of a rollout, then the best as chosen and the worst as rejected. Columns:
 * `all_rm_scores` beside `all_generated_responses`, `chosen`, `rejected`.
 */
import type { Columns } from '../data/columns.ts';
import type { JsonObject } from '../data/json.ts';
import { InputError } from '../errors.ts';
import { answerLike, readPrompt, writtenRow } from './dialogue.ts';
import type { Rater, RatingTask } from './raters/rater.ts';
import type { RowStep } from './row-step.ts';

export interface RateOptions {
  readonly rater: Rater;
  /** Pairs whose scores are nearer than this are dropped; 0 drops equal scores only. */
  readonly minGap: number;
  readonly columns?: Columns;
}

export function rateStep({ rater, minGap, columns = {} }: RateOptions): RowStep<RatingTask> {
  return {
    settings: { command: 'rate', rater: rater.settings, min_gap: minGap, columns },
    read: (raw) => {
      const answers = raw.value.all_generated_responses;
      const isList =
        Array.isArray(answers) && answers.every((text): text is string => typeof text === 'string');
      if (!isList || answers.length < 2) {
        const where = `${raw.file}:${raw.line}`;
        throw new InputError(
          `${where}: field 'all_generated_responses' must be a list of at least two texts; "prefgrad rollout" writes them`,
        );
      }
      return { prompt: readPrompt(raw, columns), answers, row: raw.value };
    },
    requests: (task) => rater.requests?.(task) ?? [],
    async run(task, index, raw) {
      const { prompt, answers } = task;
      const scores = await rater.rate(task);
      const detail = { all_rm_scores: scores };
      const extremes = bestAndWorst(answers, scores);
      if (extremes === undefined)
        return { kind: 'dropped', reason: 'fewer than two answers with text', detail };
      const { best, worst } = extremes;
      const gap = scores[best] - scores[worst];
      if (gap === 0 || answers[best] === answers[worst]) return { kind: 'dropped', reason: 'tie', detail };
      if (gap < minGap) return { kind: 'dropped', reason: 'gap below the minimum', detail };
      const chosen = answerLike(prompt, answers[best]);
      const rejected = answerLike(prompt, answers[worst]);
      return {
        kind: 'row',
        value: writtenRow(index, raw, { prompt, chosen, rejected, ...detail, score_gap: gap }),
      };
    },
    summary: summarize,
  };
}

/** Places of the largest and the smallest score, the first of equals; answers without text do not count. */
export function bestAndWorst(
  answers: readonly string[],
  scores: readonly number[],
): { best: number; worst: number } | undefined {
  const places = answers.flatMap((text, i) => (text.trim() === '' ? [] : [i]));
  if (places.length < 2) return undefined;
  const best = places.reduce((a, b) => (scores[b] > scores[a] ? b : a));
  const worst = places.reduce((a, b) => (scores[b] < scores[a] ? b : a));
  return { best, worst };
}

async function summarize(rows: AsyncIterable<JsonObject>): Promise<JsonObject> {
  let [count, gaps] = [0, 0];
  for await (const { score_gap: gap } of rows) {
    count++;
    gaps += Number(gap);
  }
  return { mean_score_gap: count === 0 ? 0 : gaps / count };
}
