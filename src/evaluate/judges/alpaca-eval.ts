/** AlpacaEval 2's numbers from pairwise judgments: win rates against a baseline, also with lengths made equal. */
import type { JsonObject } from '../../data/json.ts';
import { readRows } from '../../data/sources/read-rows.ts';
import { InputError } from '../../errors.ts';
import type { FileSystem } from '../../runtime/runtime.ts';
import { mean, standardError } from '../statistics.ts';
import { type DifficultyRow, readDifficulty } from './difficulty-table.ts';
import { lengthAdjusted } from './length-adjustment.ts';

/** One judgment: which of two answers to the same instruction is better. */
export interface Judgment {
  /** Lengths in characters. */
  readonly baselineLength: number;
  readonly modelLength: number;
  /** 0: the baseline is better, 1: the model is, 0.5: neither. */
  readonly preference: number;
}

/** In percent, but for the counts and the length. Names are those of AlpacaEval's leaderboard. */
export interface AlpacaMetrics {
  readonly win_rate: number;
  readonly standard_error: number;
  readonly discrete_win_rate: number;
  readonly n_wins: number;
  readonly n_wins_base: number;
  readonly n_draws: number;
  readonly n_total: number;
  /** Characters per answer of the model, cut to a whole number as the leaderboard does. */
  readonly avg_length: number;
  readonly win_rate_length_adjusted: number;
  readonly lc_standard_error: number;
  /** Whether the adjustment knows how difficult each instruction is. */
  readonly difficulty: boolean;
}

/**
 * @param annotations - rows with `output_1` (baseline), `output_2` (model) and `preference` in 1..2
 * @param difficulty - AlpacaEval's table df_gamed.csv
 * @throws InputError naming the row that is no judgment
 */
export async function alpacaEval(
  files: FileSystem,
  annotations: string,
  difficulty?: string,
): Promise<AlpacaMetrics> {
  const table =
    difficulty === undefined ? undefined : readDifficulty(await files.readText(difficulty), difficulty);
  return alpacaMetrics(await readJudgments(files, annotations), table);
}

export async function readJudgments(files: FileSystem, path: string): Promise<(Judgment | undefined)[]> {
  const judgments: (Judgment | undefined)[] = [];
  for await (const { file, line, value } of readRows(files, path)) {
    judgments.push(judgmentOf(value, `${file}:${line}`));
  }
  if (!judgments.some((judgment) => judgment !== undefined))
    throw new InputError(`${path}: there are no judgments in it.`);
  return judgments;
}

/** undefined for a row whose judge gave no verdict. */
function judgmentOf(row: JsonObject, where: string): Judgment | undefined {
  const { output_1: baseline, output_2: model, preference } = row;
  if (typeof baseline !== 'string' || typeof model !== 'string')
    throw new InputError(
      `${where}: 'output_1' (of the baseline) and 'output_2' (of the model) must be text.`,
    );
  if (preference === null || preference === undefined) return undefined;
  // 0 is how old files write a draw.
  const value = preference === 0 ? 1.5 : preference;
  if (typeof value !== 'number' || !(value >= 1 && value <= 2))
    throw new InputError(
      `${where}: 'preference' must be a number from 1 (baseline) to 2 (model), found ${JSON.stringify(preference)}.`,
    );
  return { baselineLength: characters(baseline), modelLength: characters(model), preference: value - 1 };
}

/** Unicode characters, as Python counts them. */
export const characters = (text: string): number => [...text].length;

/** @param rows - by instruction; undefined where there is no verdict */
export function alpacaMetrics(
  rows: readonly (Judgment | undefined)[],
  table?: readonly DifficultyRow[],
): AlpacaMetrics {
  const judgments = rows.filter((row) => row !== undefined);
  const preferences = judgments.map(({ preference }) => preference);
  const adjusted = lengthAdjusted(rows, table);
  // A preference counts as a draw only where it is exactly in the middle.
  const discrete = preferences.map((p) => (p === 0.5 ? 0.5 : Math.round(p)));
  return {
    win_rate: 100 * mean(preferences),
    standard_error: 100 * standardError(preferences),
    discrete_win_rate: 100 * mean(discrete),
    n_wins: preferences.filter((p) => p > 0.5).length,
    n_wins_base: preferences.filter((p) => p < 0.5).length,
    n_draws: preferences.filter((p) => p === 0.5).length,
    n_total: preferences.length,
    avg_length: Math.trunc(mean(judgments.map(({ modelLength }) => modelLength))),
    win_rate_length_adjusted: 100 * mean(adjusted),
    lc_standard_error: 100 * standardError(adjusted),
    difficulty: table !== undefined,
  };
}
