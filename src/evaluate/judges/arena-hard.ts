/** Arena-Hard: two games per question with places swapped, five verdicts, a Bradley-Terry fit against the baseline. */
import { RunError } from '../../errors.ts';
import type { PairedAnswers } from './answers-file.ts';
import { type Game, winRate } from './bradley-terry.ts';
import { askJudge, type JudgeModel, lastVerdict, noVerdicts } from './judge-model.ts';

const VERDICTS = ['A>>B', 'A>B', 'A=B', 'B>A', 'B>>A'] as const;
type FiveVerdict = (typeof VERDICTS)[number];

/** A clear win counts as this many games. */
const STRONG_WEIGHT = 3;

export interface ArenaRow {
  readonly prompt: string;
  /** With the baseline's answer as A, then with the model's; null: no verdict. */
  readonly verdicts: readonly [FiveVerdict | null, FiveVerdict | null];
  readonly judgments: readonly [string, string];
}

export interface ArenaSummary {
  readonly questions: number;
  readonly games: number;
  readonly without_verdict: number;
  /** Percent of games that the model wins against the baseline, by the fit. */
  readonly win_rate: number;
  /** 5% and 95% of the bootstraps. */
  readonly low: number;
  readonly high: number;
  readonly bootstraps: number;
}

export function judgeArena(judge: JudgeModel, pairs: readonly PairedAnswers[]): Promise<ArenaRow[]> {
  judge.prompts.check('five_verdicts', ['prompt', 'first', 'second']);
  const play = (prompt: string, first: string, second: string) =>
    askJudge(judge, 'five_verdicts', { prompt, first, second }, (text) => {
      const written = lastVerdict(text)?.replaceAll(' ', '');
      return VERDICTS.find((verdict) => verdict === written);
    });
  return Promise.all(
    pairs.map(async ({ prompt, baseline, model }): Promise<ArenaRow> => {
      const [first, second] = await Promise.all([
        play(prompt, baseline, model),
        play(prompt, model, baseline),
      ]);
      return {
        prompt,
        verdicts: [first.value ?? null, second.value ?? null],
        judgments: [first.text, second.text],
      };
    }),
  );
}

const BASELINE = 'baseline';
const MODEL = 'model';
const BOOTSTRAPS = 100;

/** @param seed - of the bootstraps; @throws RunError where no game has a verdict */
export function arenaSummary(rows: readonly ArenaRow[], seed: number): ArenaSummary {
  const games = rows.flatMap(({ verdicts: [first, second] }) => [
    ...(first === null ? [] : [gameOf(first, BASELINE, MODEL)]),
    ...(second === null ? [] : [gameOf(second, MODEL, BASELINE)]),
  ]);
  if (games.length === 0) throw new RunError(noVerdicts('game'));
  const { rate, low, high } = winRate(games, MODEL, BASELINE, { rounds: BOOTSTRAPS, seed });
  return {
    questions: rows.length,
    games: games.length,
    without_verdict: 2 * rows.length - games.length,
    win_rate: 100 * rate,
    low: 100 * low,
    high: 100 * high,
    bootstraps: BOOTSTRAPS,
  };
}

function gameOf(verdict: FiveVerdict, first: string, second: string): Game {
  const score = verdict === 'A=B' ? 0.5 : verdict.startsWith('A') ? 1 : 0;
  return { first, second, score, weight: verdict.includes('>>') ? STRONG_WEIGHT : 1 };
}
