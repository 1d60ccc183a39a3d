/** How long generated texts are, in tokens, and why they ended. */
import type { JsonObject } from '../data/json.ts';
import { metric } from './units.ts';

/** Numbers over rows with `token_ids` and `finish_reason`. */
export async function lengthSummary(rows: AsyncIterable<JsonObject>): Promise<JsonObject> {
  const lengths: number[] = [];
  let cut = 0;
  for await (const { token_ids: ids, finish_reason: reason } of rows) {
    if (Array.isArray(ids)) lengths.push(ids.length);
    if (reason === 'length') cut++;
  }
  if (lengths.length === 0) return {};
  lengths.sort((a, b) => a - b);
  const at = (share: number) => lengths[Math.min(lengths.length - 1, Math.floor(share * lengths.length))];
  return {
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    mean_tokens: lengths.reduce((sum, length) => sum + length, 0) / lengths.length,
    median_tokens: at(0.5),
    p95_tokens: at(0.95),
    most_tokens: lengths[lengths.length - 1],
    cut_off: cut,
  };
}

/** 'Tokens: mean 31.2, median 30, 95% at most 60, at most 64; 3 cut off.' */
export function lengthText(summary: JsonObject): string {
  const number = (name: string) => metric(Number(summary[name]));
  if (summary.tokens === undefined) return 'Nothing was generated.';
  return (
    `Tokens: mean ${number('mean_tokens')}, median ${number('median_tokens')}, 95% at most ${number('p95_tokens')}, ` +
    `at most ${number('most_tokens')}; ${number('cut_off')} cut off.`
  );
}
