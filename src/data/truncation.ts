/**
 * Fitting prompt and answers into `maxLength` tokens.
 */

/**
 * 'keep_start': the prompt stays whole; an answer loses its end (and with it the EOS) where prompt + answer are too
 * long, each answer by itself. 'keep_end': answers stay whole; the prompt, which both share, loses tokens from its
 * start, behind the BOS, until it fits the longer answer.
 */
export type Truncation = 'keep_start' | 'keep_end';

/** What stays of a row. */
export interface Fit {
  readonly promptIds: readonly number[];
  /** How many tokens of each answer stay. */
  readonly lengths: readonly number[];
  readonly truncated: boolean;
}

/** A prompt of at most `most` tokens: a longer one loses its start, behind the BOS, as TRL's does. */
export function cutPrompt(
  promptIds: readonly number[],
  most: number,
  bosId: number | undefined,
): readonly number[] {
  if (promptIds.length <= most) return promptIds;
  const kept = bosId !== undefined && promptIds[0] === bosId ? [bosId] : [];
  const rest = most - kept.length;
  return [...kept, ...(rest > 0 ? promptIds.slice(-rest) : [])];
}

/**
 * Cuts a row to `maxLength` tokens per prompt + answer. Null when nothing useful can stay: the prompt alone fills the
 * length (keep_start), or an answer leaves no room for the BOS, or for one prompt token where there is none (keep_end).
 */
export function fitRow(
  promptIds: readonly number[],
  lengths: readonly number[],
  maxLength: number,
  truncation: Truncation,
  bosId: number | undefined,
): Fit | null {
  const longest = Math.max(...lengths);
  if (promptIds.length + longest <= maxLength) return { promptIds, lengths, truncated: false };
  if (truncation === 'keep_start') {
    const available = maxLength - promptIds.length;
    if (available < 1) return null;
    return { promptIds, lengths: lengths.map((length) => Math.min(length, available)), truncated: true };
  }
  const available = maxLength - longest;
  if (available < 1) return null;
  return { promptIds: cutPrompt(promptIds, available, bosId), lengths, truncated: true };
}
