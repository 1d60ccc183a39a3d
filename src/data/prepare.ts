/**
 * From a data file to examples: what training and `score` call.
 */

import { InputError, InputErrors } from '../errors.ts';
import { readColumns } from './columns.ts';
import type { Example } from './examples.ts';
import type { ReadFiles } from './load-tokenizer.ts';
import { type RowSettings, readRow } from './rows.ts';
import { readRows } from './sources/read-rows.ts';
import { RowTokenizer, type TokenizeSettings } from './tokenize.ts';
import type { Tokenizer } from './tokenizer.ts';

/** A data set and how to read it. */
export interface DatasetOptions extends RowSettings, TokenizeSettings {
  readonly files: ReadFiles;
  /** A .jsonl file, or a .json file that holds an array. */
  readonly path: string;
  readonly tokenizer: Tokenizer;
  /** Read no more than this many rows. */
  readonly limit?: number;
}

/** What became of the rows. kept + identical + tooLong = rows. */
export interface DataReport {
  /** Rows read. */
  rows: number;
  kept: number;
  /** Kept rows that lost tokens to `maxLength`. */
  truncated: number;
  /** Pairs dropped because both answers are (within `maxLength`) the same tokens. */
  identical: number;
  /** Rows dropped because `maxLength` leaves no room for an answer. */
  tooLong: number;
  /** Lines of the first dropped rows, ten at most. */
  droppedLines: number[];
  /** Tokens of the longest kept prompt + answer. */
  longest: number;
}

const REPORTED_PROBLEMS = 20;
const REPORTED_LINES = 10;

export function emptyReport(): DataReport {
  return { rows: 0, kept: 0, truncated: 0, identical: 0, tooLong: 0, droppedLines: [], longest: 0 };
}

/**
 * Yields examples one by one and keeps none, so memory does not grow with a JSON Lines file. `report` is brought up
 * to date with every row. Throws `InputError` at the first row that is wrong.
 */
export async function* streamExamples(
  options: DatasetOptions,
  report: DataReport = emptyReport(),
): AsyncGenerator<Example> {
  for await (const outcome of outcomes(options, report)) {
    if (outcome instanceof InputError) throw outcome;
    yield outcome;
  }
}

/** Reads a whole data set. Throws `InputErrors` with the first twenty problems, or `InputError` for an only one. */
export async function prepareDataset(
  options: DatasetOptions,
): Promise<{ examples: Example[]; report: DataReport }> {
  const report = emptyReport();
  const examples: Example[] = [];
  const problems: InputError[] = [];
  for await (const outcome of outcomes(options, report)) {
    if (!(outcome instanceof InputError)) examples.push(outcome);
    else if (problems.every((problem) => problem.message !== outcome.message)) problems.push(outcome);
    if (problems.length === REPORTED_PROBLEMS) break;
  }
  const [only] = problems;
  if (only !== undefined && problems.length === 1) throw only;
  if (only !== undefined) {
    const more = problems.length === REPORTED_PROBLEMS ? 'at least ' : '';
    const title = `${options.path}: ${more}${problems.length} problems`;
    throw new InputErrors(
      title,
      problems.map((problem) => problem.message),
    );
  }
  if (examples.length === 0) {
    const why = `${report.rows} rows read, ${report.identical} with identical answers, ${report.tooLong} too long`;
    throw new InputError(`${options.path}: no example is left (${why}); check the file and max_length`);
  }
  return { examples, report };
}

/** Examples and, in their place, the errors of rows that are wrong. An error of the file itself ends the reading. */
async function* outcomes(options: DatasetOptions, report: DataReport): AsyncGenerator<Example | InputError> {
  const { files, path, tokenizer, limit = Number.POSITIVE_INFINITY } = options;
  const rowTokenizer = new RowTokenizer(tokenizer, options);
  try {
    for await (const raw of readRows(files, path, readColumns(options.columns ?? {}))) {
      if (report.rows >= limit) return;
      report.rows++;
      try {
        const tokenized = rowTokenizer.tokenize(readRow(raw, options), report.kept);
        if ('example' in tokenized) {
          count(report, tokenized.example);
          yield tokenized.example;
          continue;
        }
        if (tokenized.dropped === 'identical') report.identical++;
        else report.tooLong++;
        if (report.droppedLines.length < REPORTED_LINES) report.droppedLines.push(raw.line);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        yield error;
      }
    }
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    yield error;
  }
}

function count(report: DataReport, example: Example): void {
  report.kept++;
  if (example.truncated) report.truncated++;
  const answers = example.kind === 'pair' ? [example.chosen, example.rejected] : [example.completion];
  const longest = Math.max(...answers.map((answer) => answer.ids.length));
  report.longest = Math.max(report.longest, example.promptIds.length + longest);
}
