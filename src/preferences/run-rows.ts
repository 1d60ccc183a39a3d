/** Rows through a pipeline: in parallel, written in order, resumable. */
import type { JsonObject } from '../data/json.ts';
import { expandData } from '../data/sources/expand.ts';
import type { RawRow } from '../data/sources/raw-row.ts';
import { readRows } from '../data/sources/read-rows.ts';
import { InputError, RunError } from '../errors.ts';
import { writeJson } from '../formats/atomic-file.ts';
import { LlmError } from '../llm/retry.ts';
import { inOrder } from '../runtime/in-order.ts';
import { fromFirst, ONE_RANK, onAnyRank, type Ranks } from '../runtime/ranks.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import {
  type Dropped,
  droppedPath,
  type Entry,
  isContinuable,
  RowOutput,
  reportPath,
  writtenRows,
} from './output.ts';
import type { RowStep } from './row-step.ts';

export interface RunRowsOptions {
  readonly files: FileSystem;
  /** Those that the rows are dealt out to. Default: this process. */
  readonly ranks?: Ranks;
  /** What names the rows: a file, a pattern, or a data set of the hub. */
  readonly rows: string;
  readonly out: string;
  readonly resume: boolean;
  /** Rows that each rank has under way at once. */
  readonly window: number;
  /** Rows to read; undefined: all. */
  readonly limit?: number;
  readonly onBadRow: 'error' | 'skip';
  /** Told after every row that is written, dropped or failed. */
  readonly progress?: (counts: RowCounts) => void;
  /** Asked before every row; true ends the run as if the input ended here. */
  readonly shouldStop?: () => boolean;
}

/** Of the whole output, rows of earlier runs included. */
export interface RowCounts {
  readonly written: number;
  readonly dropped: number;
  readonly failed: number;
  readonly bad: number;
}

export interface RowReport extends RowCounts {
  readonly interrupted: boolean;
  /** How often rows were dropped or failed, by reason. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly summary: JsonObject;
}

/** So many failures one after the other, and the endpoint is taken for broken rather than the rows. */
const MOST_FAILURES = 8;

/**
 * Runs `step` over every row. Whatever ends it, the files hold every row that was finished before the first unfinished
 * one; answers behind that are in the cache of the client.
 * @throws InputError, and RunError where the budget is used up or the endpoint is broken
 */
export async function runRows<T>(step: RowStep<T>, options: RunRowsOptions): Promise<RowReport> {
  const { files, ranks = ONE_RANK, out, window } = options;
  await checkRows(step, options);
  // Of several ranks the first writes, and says where all of them go on.
  const output =
    ranks.rank === 0 ? await RowOutput.open(files, out, step.settings, options.resume) : undefined;
  const begun = await fromFirst(ranks, async () => ({
    next: output?.next ?? 0,
    failed: [...(output?.failed ?? [])],
  }));
  const failed = new Set(begun.failed);
  const tally = new Tally();
  let interrupted = false;
  async function* unfinished(): AsyncGenerator<NumberedRow> {
    for await (const row of numbered(sourceRows(files, options.rows), options.limit)) {
      if (row.index < begun.next && !failed.has(row.index)) continue;
      interrupted = await onAnyRank(ranks, options.shouldStop?.() ?? false);
      if (interrupted) return;
      yield row;
    }
  }
  let isEmpty = !options.resume;
  let isInVain = false;
  try {
    const handled = inOrder(ranks, unfinished(), (row) => handle(step, row, options.onBadRow), window);
    for await (const { result: entry } of handled) {
      isEmpty = false;
      await output?.write(entry);
      const counts = tally.add(entry);
      options.progress?.(counts);
    }
  } catch (error) {
    // What is wrong for every row, such as a template, ends the first one: nothing was done then.
    isInVain = isEmpty && error instanceof InputError;
    throw error;
  } finally {
    await output?.close();
    if (isInVain) await output?.discard();
  }
  return fromFirst(ranks, async () => {
    if (!(await isContinuable(files, out))) return { ...tally.report, interrupted, summary: {} };
    const summary = (await step.summary?.(writtenRows(files, out))) ?? {};
    return { ...(await reportOf(files, out)), interrupted, summary };
  });
}

/**
 * Reads the rows before anything is asked or written.
 * @throws InputError for the first one that is bad; where those are skipped, for rows that are all bad
 */
async function checkRows<T>(
  step: RowStep<T>,
  { files, rows, limit, onBadRow }: RunRowsOptions,
): Promise<void> {
  let first: InputError | undefined;
  for await (const { raw } of numbered(sourceRows(files, rows), limit)) {
    try {
      step.read(raw);
      // One that can be used is enough.
      if (onBadRow === 'skip') return;
    } catch (error) {
      if (!(error instanceof InputError) || onBadRow === 'error') throw error;
      first ??= error;
    }
  }
  if (first !== undefined)
    throw new InputError(`${rows}: no row can be used. The first one: ${first.message}`);
}

/** Counts of everything in the files, and how often each reason is there. */
async function reportOf(files: FileSystem, out: string): Promise<Omit<RowReport, 'summary' | 'interrupted'>> {
  const reasons: Record<string, number> = {};
  const counts = { written: 0, dropped: 0, failed: 0, bad: 0 };
  for await (const _ of writtenRows(files, out)) counts.written++;
  for await (const value of writtenRows(files, droppedPath(out))) {
    const { kind, reason } = value as Dropped;
    counts[kind]++;
    reasons[reason] = (reasons[reason] ?? 0) + 1;
  }
  return { ...counts, reasons };
}

export async function writeReport(files: FileSystem, out: string, report: JsonObject): Promise<void> {
  if (await isContinuable(files, out)) await writeJson(files, reportPath(out), report);
}

/** The rows of everything that `reference` names, one after the other. @throws InputError where there is none */
export async function* sourceRows(files: FileSystem, reference: string): AsyncGenerator<RawRow> {
  for (const path of await expandData(files, reference)) yield* readRows(files, path);
}

interface NumberedRow {
  readonly raw: RawRow;
  readonly index: number;
}

async function* numbered(
  rows: AsyncIterable<RawRow>,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<NumberedRow> {
  let index = 0;
  if (limit === 0) return;
  for await (const raw of rows) {
    yield { raw, index };
    if (++index >= limit) return;
  }
}

/** @throws what ends the run, in the place of the row where it came up */
async function handle<T>(
  step: RowStep<T>,
  { raw, index }: NumberedRow,
  onBadRow: 'error' | 'skip',
): Promise<Entry> {
  const other = (kind: Dropped['kind'], reason: string, detail: JsonObject = {}): Entry => ({
    kind: 'other',
    index,
    value: { index, line: raw.line, kind, reason, ...detail },
  });
  let item: T;
  try {
    item = step.read(raw);
  } catch (error) {
    if (!(error instanceof InputError) || onBadRow === 'error') throw error;
    return other('bad', 'a bad row', { message: error.message });
  }
  try {
    const outcome = await step.run(item, index, raw);
    if (outcome.kind === 'row') return { kind: 'row', index, value: outcome.value };
    return other('dropped', outcome.reason, outcome.detail);
  } catch (error) {
    if (!(error instanceof LlmError)) throw error;
    return other('failed', 'the endpoint failed', { message: error.message, attempts: error.attempts });
  }
}

/** Counts of this run, for progress and to notice a broken endpoint. */
class Tally {
  readonly #counts = { written: 0, dropped: 0, failed: 0, bad: 0 };
  readonly #reasons: Record<string, number> = {};
  #failures = 0;

  /** @throws RunError at the last of many failures in a row */
  add(entry: Entry): RowCounts {
    if (entry.kind === 'row') this.#counts.written++;
    else {
      const { kind, reason } = entry.value;
      this.#counts[kind]++;
      this.#reasons[reason] = (this.#reasons[reason] ?? 0) + 1;
    }
    const failed = entry.kind === 'other' && entry.value.kind === 'failed';
    this.#failures = failed ? this.#failures + 1 : 0;
    if (entry.kind === 'other' && this.#failures >= MOST_FAILURES) {
      throw new RunError(
        `${MOST_FAILURES} rows failed one after the other; the last: ${entry.value.message}. ` +
          'What was written is kept; go on with --resume when the endpoint works.',
      );
    }
    return { ...this.#counts };
  }

  /** Of this run alone. */
  get report(): Omit<RowReport, 'summary' | 'interrupted'> {
    return { ...this.#counts, reasons: this.#reasons };
  }
}
