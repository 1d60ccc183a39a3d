/** From data files to examples, row by row: what training and `score` call. */
import { InputError, InputErrors } from '../errors.ts';
import { LimitError } from '../runtime/time-limit.ts';
import { readColumns } from './columns.ts';
import { type DataReport, emptyReport, leftText } from './data-report.ts';
import type { Example } from './examples.ts';
import { type DataRow, type RowSettings, readRow } from './rows.ts';
import { expandData } from './sources/expand.ts';
import type { RepoFiles } from './sources/hub-split.ts';
import type { RawRow } from './sources/raw-row.ts';
import { readRows } from './sources/read-rows.ts';
import { sampled } from './sources/sample.ts';
import { type DropReason, RowTokenizer, type TokenizeSettings } from './tokenize.ts';
import type { Tokenizer } from './tokenizer.ts';

/** A data set and how to read it. */
export interface DatasetOptions extends RowSettings, TokenizeSettings {
  readonly files: RepoFiles;
  /** A file, a pattern, or a data set of the hub; see `expandData`. */
  readonly path: string;
  readonly tokenizer: Tokenizer;
  /** Read no more than this many rows. */
  readonly limit?: number;
  /** Passes over this many rows first, which a report that is continued has counted; they count towards `limit`. */
  readonly skip?: number;
  /** Draws the `limit` rows from the whole of the data by this seed, instead of taking the first. */
  readonly sampleSeed?: number;
  /** What a row that cannot be used does to the rest: 'error' (default) ends the reading, 'skip' leaves it out. */
  readonly onBadRow?: 'error' | 'skip';
  /** Hears of every row that is left out. */
  readonly onDropped?: (row: DroppedRow) => void;
}

/** A row that gives no example. */
export interface DroppedRow {
  readonly file: string;
  readonly line: number;
  /** 'identical', 'too_long', or what is wrong with it. */
  readonly reason: string;
}

/** What became of one row; `index` counts all rows from 0. */
export type Outcome = { readonly index: number; readonly file: string; readonly line: number } & (
  | { readonly kind: 'example'; readonly row: DataRow; readonly example: Example }
  | { readonly kind: 'dropped'; readonly row: DataRow; readonly reason: DropReason }
  | { readonly kind: 'bad'; readonly error: InputError }
);

/** Different ones, and rows that have them: what is wrong in all rows of a large file need not be read to its end. */
const REPORTED_PROBLEMS = 20;
const REPORTED_ROWS = 200;

/**
 * Yields what becomes of each row, in order, and keeps nothing. `report` is brought up to date with every row.
 * @throws InputError where a file itself cannot be read
 */
export async function* streamOutcomes(
  options: DatasetOptions,
  report: DataReport = emptyReport(),
): AsyncGenerator<Outcome> {
  const rowTokenizer = new RowTokenizer(options.tokenizer, options);
  for await (const raw of rawRows(options)) {
    const common = { index: report.rows++, file: raw.file, line: raw.line };
    let outcome: Outcome;
    try {
      const row = readRow(raw, options);
      report.formats[row.format] = (report.formats[row.format] ?? 0) + 1;
      const tokenized = rowTokenizer.tokenize(row, report.kept);
      outcome =
        'example' in tokenized
          ? { ...common, kind: 'example', row, example: tokenized.example }
          : { ...common, kind: 'dropped', row, reason: tokenized.dropped };
    } catch (error) {
      if (!(error instanceof InputError) || error instanceof LimitError) throw error;
      outcome = { ...common, kind: 'bad', error };
    }
    count(report, outcome);
    yield outcome;
  }
}

/**
 * Yields examples one by one and keeps none, so memory does not grow with the file.
 * @throws InputError at the first row that is wrong, unless those are skipped
 */
export async function* streamExamples(
  options: DatasetOptions,
  report: DataReport = emptyReport(),
): AsyncGenerator<Example> {
  for await (const outcome of streamOutcomes(options, report)) {
    if (outcome.kind === 'example') yield outcome.example;
    else if (outcome.kind === 'bad' && options.onBadRow !== 'skip') throw outcome.error;
    else options.onDropped?.(droppedRow(outcome));
  }
}

/** Reads a whole data set. @throws InputErrors with the first twenty problems, each once with its lines, or InputError for an only one */
export async function prepareDataset(
  options: DatasetOptions,
): Promise<{ examples: Example[]; report: DataReport }> {
  const report = emptyReport();
  const examples: Example[] = [];
  const problems = new ProblemList();
  try {
    for await (const outcome of streamOutcomes(options, report)) {
      if (outcome.kind === 'example') examples.push(outcome.example);
      else if (outcome.kind === 'bad' && options.onBadRow !== 'skip') problems.add(outcome.error, outcome);
      else options.onDropped?.(droppedRow(outcome));
      if (problems.isFull) break;
    }
  } catch (error) {
    // The file cannot be read on; what was wrong before is worth saying too.
    if (!(error instanceof InputError)) throw error;
    problems.add(error);
  }
  problems.throwAny(options.path);
  if (examples.length === 0) {
    const { chatTemplate, templateName } = options.tokenizer;
    const template =
      chatTemplate === undefined ? '' : `, for conversations also the chat template (${templateName})`;
    throw new InputError(
      `${options.path}: no example is left (${leftText(report)}); check the file and max_length${template}`,
    );
  }
  return { examples, report };
}

/** What is wrong with rows, each problem once with all of its lines. */
class ProblemList {
  readonly #found = new Map<string, { readonly first: InputError; readonly lines: number[] }>();
  #rows = 0;

  add(error: InputError, where?: { readonly file: string; readonly line: number }): void {
    this.#rows++;
    const prefix = where === undefined ? '' : `${where.file}:${where.line}: `;
    const isPlaced = where !== undefined && error.message.startsWith(prefix);
    const key = isPlaced ? `${where.file}: ${error.message.slice(prefix.length)}` : error.message;
    const known = this.#found.get(key);
    if (known === undefined) this.#found.set(key, { first: error, lines: isPlaced ? [where.line] : [] });
    else if (isPlaced) known.lines.push(where.line);
  }

  get isFull(): boolean {
    return this.#found.size === REPORTED_PROBLEMS || this.#rows === REPORTED_ROWS;
  }

  /** @throws InputError where there is a problem */
  throwAny(path: string): void {
    const [only] = this.#found.values();
    if (this.#found.size === 0) return;
    if (this.#rows === 1) throw only.first;
    const texts = [...this.#found.values()].map(({ first, lines }) => `${first.message}${alsoIn(lines)}`);
    if (texts.length === 1) throw new InputError(texts[0]);
    throw new InputErrors(`${path}: ${this.isFull ? 'at least ' : ''}${texts.length} problems`, texts);
  }
}

/** ' (also in lines 4, 7 and 9)' of a problem that several lines have. */
function alsoIn([, ...lines]: readonly number[]): string {
  if (lines.length === 0) return '';
  const shown = lines.slice(0, 10).join(', ') + (lines.length > 10 ? ` and ${lines.length - 10} more` : '');
  return ` (also in line${lines.length === 1 ? '' : 's'} ${shown})`;
}

async function* rawRows(options: DatasetOptions): AsyncGenerator<RawRow> {
  const { files, path, columns = {}, skip = 0, limit = Number.POSITIVE_INFINITY, sampleSeed } = options;
  const wanted = readColumns(columns);
  const all = async function* () {
    for (const file of await expandData(files, path)) yield* readRows(files, file, wanted);
  };
  if (sampleSeed !== undefined && Number.isFinite(limit)) {
    yield* await sampled(all(), limit, sampleSeed);
    return;
  }
  let rows = 0;
  for await (const raw of all()) {
    if (rows++ >= limit) return;
    if (rows > skip) yield raw;
  }
}

/** What a row that is left out says in a list of such rows. */
export function droppedRow(outcome: Exclude<Outcome, { kind: 'example' }>): DroppedRow {
  const { file, line } = outcome;
  return { file, line, reason: outcome.kind === 'bad' ? outcome.error.message : outcome.reason };
}

function count(report: DataReport, outcome: Outcome): void {
  if (outcome.kind === 'bad') report.bad++;
  else if (outcome.kind === 'dropped') report[outcome.reason === 'identical' ? 'identical' : 'tooLong']++;
  else {
    const { example } = outcome;
    report.kept++;
    if (example.truncated) report.truncated++;
    const answers = example.kind === 'pair' ? [example.chosen, example.rejected] : [example.completion];
    const longest = Math.max(...answers.map((answer) => answer.ids.length));
    report.longest = Math.max(report.longest, example.promptIds.length + longest);
  }
}
