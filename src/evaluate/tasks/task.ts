/** What a task is: how its rows are read, how the model is asked, and when an answer is right. */
import type { JsonObject } from '../../data/json.ts';

export interface Question {
  readonly problem: string;
  /** The right answer in the task's own form: for GSM8K a whole solution. */
  readonly gold: string;
}

export interface Grade {
  /** What was compared, as found in the two texts; undefined for a prediction that gives no answer. */
  readonly gold: string;
  readonly answer: string | undefined;
  readonly correct: boolean;
}

export interface Task {
  readonly name: string;
  readonly description: string;
  /** undefined where the row lacks what is needed; `columns` says what that is. */
  readonly read: (row: JsonObject) => Question | undefined;
  readonly columns: string;
  /** The text that the model continues. */
  readonly prompt: (problem: string) => string;
  /** An answer ends before the first of these. */
  readonly stops: readonly string[];
  readonly maxNewTokens: number;
  readonly grade: (gold: string, prediction: string) => Grade;
}

/** The text before the first stop. */
export function untilStop(text: string, stops: readonly string[]): string {
  const ends = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
  return ends.length === 0 ? text : text.slice(0, Math.min(...ends));
}

/** A column that holds text or a number, as text. */
export function textColumn(row: JsonObject, ...names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = row[name];
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  }
  return undefined;
}
