/** Single-turn dialogues of HH: the model's answer against the data's `chosen`, by any rater (epsilon-DPO, B.2). */
import type { Columns } from '../../data/columns.ts';
import type { RawRow } from '../../data/sources/raw-row.ts';
import { readRows } from '../../data/sources/read-rows.ts';
import { InputError } from '../../errors.ts';
import { type AnswerPair, type Prompt, promptText, readPair } from '../../preferences/dialogue.ts';
import type { Rater } from '../../preferences/raters/rater.ts';
import type { FileSystem } from '../../runtime/runtime.ts';
import { type Interval, mean, wilsonInterval } from '../statistics.ts';

export const HH_SAMPLING = { temperature: 1, maxNewTokens: 1024 } as const;

export interface HhDialogue extends Pick<AnswerPair, 'prompt' | 'chosen'> {
  readonly raw: RawRow;
}

/** The rows whose prompt is one turn. @param limit - the first ones only */
export async function readHhDialogues(
  files: FileSystem,
  path: string,
  { limit = Number.POSITIVE_INFINITY, columns }: { limit?: number; columns?: Columns } = {},
): Promise<HhDialogue[]> {
  const dialogues: HhDialogue[] = [];
  for await (const raw of readRows(files, path)) {
    const { prompt, chosen } = readPair(raw, columns);
    if (isSingleTurn(prompt)) dialogues.push({ prompt, chosen, raw });
    if (dialogues.length >= limit) break;
  }
  if (dialogues.length === 0) throw new InputError(`${path}: there are no dialogues of one turn in it.`);
  return dialogues;
}

const isSingleTurn = (prompt: Prompt): boolean =>
  typeof prompt === 'string' || prompt.filter(({ role }) => role === 'user').length === 1;

export interface HhRow {
  readonly prompt: string;
  readonly chosen: string;
  readonly answer: string;
  /** The rater's, of the model's answer and of the data's. */
  readonly scores: readonly [number, number];
  /** 1: the model's answer is better, 0: the data's is, 0.5: neither. */
  readonly win: number;
}

export interface HhSummary {
  readonly count: number;
  /** Share of answers that beat the data's, a draw counting one half. */
  readonly win_rate: number;
  readonly interval: Interval;
  readonly draws: number;
}

/** @param answers - of the model, in the order of the dialogues */
export function rateHhAnswers(
  rater: Rater,
  dialogues: readonly HhDialogue[],
  answers: readonly string[],
): Promise<HhRow[]> {
  return Promise.all(
    dialogues.map(async ({ prompt, chosen, raw }, i) => {
      const answer = answers[i];
      const [own, other] = await rater.rate({ prompt, answers: [answer, chosen], row: raw.value });
      const win = own > other ? 1 : own < other ? 0 : 0.5;
      return { prompt: promptText(prompt), chosen, answer, scores: [own, other] as const, win };
    }),
  );
}

export function hhSummary(rows: readonly HhRow[]): HhSummary {
  const wins = rows.map(({ win }) => win);
  const rate = mean(wins);
  return {
    count: rows.length,
    win_rate: rate,
    interval: wilsonInterval(rate * rows.length, rows.length),
    draws: wins.filter((win) => win === 0.5).length,
  };
}
