/** From what became of a row to its line in the file of scores. */
import type { PairExample } from '../data/examples.ts';
import { levenshteinMasks } from '../data/levenshtein.ts';
import type { Outcome } from '../data/prepare.ts';
import type { DataRow } from '../data/rows.ts';
import type { DroppedLine, ScoredLine, ScoreRecord } from './record.ts';

/** What is known of a scored pair beside its record. */
export interface PairFacts {
  readonly loss: number | undefined;
  readonly epsilon: ScoredLine['epsilon'];
}

const REASONS = {
  identical: 'both answers are the same tokens',
  too_long: 'the longest length leaves no place for an answer',
} as const;

type Texts = { text: string } | { messages: { role: string; content: string }[] };

export function scoredLine(
  { index, file, line, row, example }: Extract<Outcome, { kind: 'example' }>,
  { prompt, chosen, rejected, margin }: ScoreRecord,
  { loss, epsilon }: PairFacts,
): ScoredLine {
  const texts = textsOf(row);
  const { chosen: first, rejected: second } = example as PairExample;
  return {
    index,
    file,
    line,
    ...(example.truncated && { truncated: true }),
    prompt: { ...texts.prompt, ...prompt },
    chosen: { ...texts.chosen, ...chosen },
    rejected: { ...texts.rejected, ...rejected },
    margin,
    loss,
    edit_distance: levenshteinMasks(second.ids, first.ids).distance,
    epsilon,
  };
}

export function droppedLine(outcome: Exclude<Outcome, { kind: 'example' }>): DroppedLine {
  const { index, file, line } = outcome;
  if (outcome.kind === 'bad') {
    return { index, file, line, dropped: 'invalid', reason: outcome.error.message };
  }
  const { reason, row } = outcome;
  return { index, file, line, dropped: reason, reason: REASONS[reason], ...textsOf(row) };
}

function textsOf({ texts }: DataRow): { prompt: Texts; chosen: Texts; rejected: Texts } {
  const [prompt, chosen, rejected] = texts.conversational
    ? [texts.prompt, ...texts.answers].map((messages) => ({
        messages: messages.map((turn) => ({ ...turn })),
      }))
    : [texts.prompt, ...texts.answers].map((text) => ({ text }));
  return { prompt, chosen, rejected };
}
