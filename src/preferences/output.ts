/**
 * The output of a pipeline as it grows: rows in OUT, what became of the others in OUT.dropped.jsonl, both in the order of
 * the input and each line with the `index` of its row. So a process that was killed can be continued from the files alone.
 * Rows that go into a pipe or a device have nothing beside them, and cannot be continued.
 */
import { isObject, type JsonObject } from '../data/json.ts';
import { readRows } from '../data/sources/read-rows.ts';
import { InputError } from '../errors.ts';
import { writeAtomically, writeJson } from '../formats/atomic-file.ts';
import { readJson } from '../formats/json-file.ts';
import type { FileSink, FileSystem } from '../runtime/runtime.ts';

/** A row that was not written. `failed` ones are tried again by --resume. */
export interface Dropped {
  readonly index: number;
  readonly line: number;
  readonly kind: 'dropped' | 'failed' | 'bad';
  readonly reason: string;
  readonly [detail: string]: unknown;
}

/** What became of one row of the input. */
export type Entry =
  | { readonly kind: 'row'; readonly index: number; readonly value: JsonObject }
  | { readonly kind: 'other'; readonly index: number; readonly value: Dropped };

export const droppedPath = (out: string) => `${out}.dropped.jsonl`;
const settingsPath = (out: string) => `${out}.settings.json`;
export const reportPath = (out: string) => `${out}.report.json`;
/** Tokens that answers used, line by line (llm/ledger.ts). */
export const usagePath = (out: string) => `${out}.usage.jsonl`;

/** Whether OUT is, or will be, a file with others beside it. */
export async function isContinuable(files: FileSystem, path: string): Promise<boolean> {
  return (await files.outputTarget(path)).replaceable;
}

const NOWHERE: FileSink = { write: async () => {}, close: async () => {} };

export class RowOutput {
  readonly path: string;
  /** Rows of the input before this one are done. */
  readonly next: number;
  /** Rows before `next` that failed. */
  readonly failed: ReadonlySet<number>;
  readonly #files: FileSystem;
  readonly #rows: FileSink;
  readonly #others: FileSink;
  /** Second tries of failed rows, to be put into their places at the end. */
  readonly #repaired = new Map<number, Entry>();
  #release: () => Promise<void>;

  private constructor(
    files: FileSystem,
    path: string,
    sinks: readonly [FileSink, FileSink],
    next: number,
    failed: ReadonlySet<number>,
    release: () => Promise<void>,
  ) {
    this.#files = files;
    this.path = path;
    [this.#rows, this.#others] = sinks;
    this.next = next;
    this.failed = failed;
    this.#release = release;
  }

  /** @throws InputError when the output is there and not to be continued, or was made with other settings, or is in use */
  static async open(
    files: FileSystem,
    path: string,
    settings: JsonObject,
    resume: boolean,
  ): Promise<RowOutput> {
    if (!(await isContinuable(files, path))) {
      if (resume) throw new InputError(`${path}: is not a regular file, so there is nothing to --resume.`);
      const sinks = [await files.create(path), NOWHERE] as const;
      return new RowOutput(files, path, sinks, 0, new Set(), async () => {});
    }
    const release = await files.lock(`${path}.lock`);
    if (release === null) throw new InputError(`${path}: another process is writing it.`);
    try {
      const exists = (await files.exists(path)) || (await files.exists(settingsPath(path)));
      if (exists && !resume) {
        throw new InputError(
          `${path}: is there already. Go on with it by --resume, or replace it by --force.`,
        );
      }
      if (exists && (await files.exists(settingsPath(path)))) await compareSettings(files, path, settings);
      const done = await readIndices(files, path);
      const others = await readIndices(files, droppedPath(path));
      const written = new Set(done.lines.map(({ index }) => Number(index)));
      const failed = others.lines.filter(
        ({ kind, index }) => kind === 'failed' && !written.has(Number(index)),
      );
      const next = 1 + Math.max(-1, done.last, others.last);
      await writeJson(files, settingsPath(path), settings);
      const sinks = [
        await files.append(path, done.bytes),
        await files.append(droppedPath(path), others.bytes),
      ] as const;
      return new RowOutput(
        files,
        path,
        sinks,
        next,
        new Set(failed.map(({ index }) => Number(index))),
        release,
      );
    } catch (error) {
      await release();
      throw error;
    }
  }

  async write(entry: Entry): Promise<void> {
    if (this.failed.has(entry.index)) {
      this.#repaired.set(entry.index, entry);
      return;
    }
    const sink = entry.kind === 'row' ? this.#rows : this.#others;
    await sink.write(`${JSON.stringify(entry.value)}\n`);
  }

  /** Leaves no file behind, of an output to which nothing was written. What was spent stays in the accounts. */
  async discard(): Promise<void> {
    const { path, replaceable } = await this.#files.outputTarget(this.path);
    if (!replaceable) return;
    for (const part of [path, droppedPath(this.path), settingsPath(this.path)])
      await this.#files.remove(part);
  }

  /** Puts repaired rows into their places and closes the files. */
  async close(): Promise<void> {
    try {
      await this.#rows.close();
      await this.#others.close();
      if (this.#repaired.size > 0) await this.#merge();
    } finally {
      await this.#release();
    }
  }

  /** Rows first: a row that is in both files counts as written. */
  async #merge(): Promise<void> {
    const entries = [...this.#repaired.values()].sort((a, b) => a.index - b.index);
    const isRow = (entry: Entry) => entry.kind === 'row';
    const none = new Set<number>();
    await mergeLines(this.#files, this.path, entries.filter(isRow), none);
    const others = entries.filter((entry) => !isRow(entry));
    await mergeLines(this.#files, droppedPath(this.path), others, new Set(this.#repaired.keys()));
  }
}

/** Rewrites a file of lines with an index: without some of them, and with others in their places. */
async function mergeLines(
  files: FileSystem,
  path: string,
  entries: readonly Entry[],
  without: ReadonlySet<number>,
): Promise<void> {
  await writeAtomically(files, path, async (write) => {
    let next = 0;
    const writeBefore = async (index: number) => {
      for (; next < entries.length && entries[next].index < index; next++)
        await write(`${JSON.stringify(entries[next].value)}\n`);
    };
    for await (const { value } of readRows(files, path)) {
      const index = Number(value.index);
      await writeBefore(index);
      if (!without.has(index)) await write(`${JSON.stringify(value)}\n`);
    }
    await writeBefore(Number.POSITIVE_INFINITY);
  });
}

async function compareSettings(files: FileSystem, path: string, settings: JsonObject): Promise<void> {
  const before = await readJson(files, settingsPath(path));
  const now = JSON.parse(JSON.stringify(settings)) as JsonObject;
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  const changed = names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(now[name]));
  if (changed.length === 0) return;
  const shown = changed.map(
    (name) => `${name}: ${JSON.stringify(before[name])} -> ${JSON.stringify(now[name])}`,
  );
  throw new InputError(
    `${path}: was begun with other settings (${shown.join('; ')}). Give the same, or write to another file.`,
  );
}

/** The indices in a file of lines, and where its last whole line ends: a killed process may leave half a line. */
async function readIndices(
  files: FileSystem,
  path: string,
): Promise<{ lines: JsonObject[]; last: number; bytes: number }> {
  if (!(await files.exists(path))) return { lines: [], last: -1, bytes: 0 };
  const bytes = await wholeLineBytes(files, path);
  const lines: JsonObject[] = [];
  if (bytes > 0) {
    const sink = await files.append(path, bytes);
    await sink.close();
    for await (const { value, line } of readRows(files, path)) {
      if (!Number.isInteger(value.index))
        throw new InputError(`${path}:${line}: has no index; it is not an output of this command.`);
      lines.push({ index: value.index, kind: value.kind });
    }
  }
  const last = lines.reduce((most, { index }) => Math.max(most, Number(index)), -1);
  return { lines, last, bytes };
}

const PIECE_BYTES = 1 << 16;
const NEWLINE = 0x0a;

/** Bytes up to and with the last newline. */
async function wholeLineBytes(files: FileSystem, path: string): Promise<number> {
  const source = await files.open(path);
  try {
    for (let end = source.size; end > 0; end -= PIECE_BYTES) {
      const begin = Math.max(0, end - PIECE_BYTES);
      const at = (await source.readRange(begin, end - begin)).lastIndexOf(NEWLINE);
      if (at >= 0) return begin + at + 1;
    }
    return 0;
  } finally {
    await source.close();
  }
}

/** Removes an output and what lies beside it; symbolic links stay, and so does what is no regular file. */
export async function removeOutput(files: FileSystem, path: string): Promise<void> {
  const target = await files.outputTarget(path);
  if (!target.replaceable) return;
  const beside = [droppedPath, settingsPath, reportPath, usagePath].map((pathOf) => pathOf(path));
  for (const part of [target.path, ...beside]) await files.remove(part);
}

/** Rows of a file that was written, one after the other; lines that are no rows end it. */
export async function* writtenRows(files: FileSystem, path: string): AsyncGenerator<JsonObject> {
  for await (const { value } of readRows(files, path)) if (isObject(value)) yield value;
}
