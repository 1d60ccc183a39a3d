/**
 * A file of lines that takes its name when it is complete, and can be continued before that.
 *
 * While it grows it is called OUT.tmp; OUT.tmp.json says how many bytes of it, and what else the writer wants to know, were
 * there at the last checkpoint. What is not a regular file, such as a pipe, is written into. A file whose name ends in .gz is gzip, a member per checkpoint or megabyte.
 */
import { z } from 'zod';
import { InputError, InputErrors } from '../errors.ts';
import { writeJson } from '../formats/atomic-file.ts';
import { readJson } from '../formats/json-file.ts';
import type { FileSink, FileSystem, OutputTarget } from '../runtime/runtime.ts';
import { problemsOf } from '../schema-problems.ts';

/** What is kept at a checkpoint; JSON. */
export interface Checkpoint<State> {
  /** What the file is made from, in words that must not change. */
  readonly made_from: string;
  readonly bytes: number;
  readonly state: State;
}

const MEMBER_CHARACTERS = 1 << 20;
const CHECKPOINT_MS = 10_000;

export interface OutputOptions<State> {
  /** What `state` of a checkpoint must be. */
  readonly state: z.ZodType<State>;
  /** What the lines depend on. */
  readonly madeFrom: string;
  /** Continue what an earlier writer left. */
  readonly resume: boolean;
  /** Replace what is there. */
  readonly force: boolean;
}

export class LineOutput<State> {
  /** What the checkpoint holds that is continued from; undefined for a new file. */
  readonly resumed: State | undefined;
  readonly #files: FileSystem;
  readonly #path: string;
  readonly #madeFrom: string;
  /** False for a pipe or a device, which is never renamed and never continued. */
  readonly #isFile: boolean;
  #sink: FileSink;
  #bytes: number;
  #pending = '';
  #last = performance.now();

  private constructor(
    files: FileSystem,
    { path, replaceable }: OutputTarget,
    madeFrom: string,
    sink: FileSink,
    from: Checkpoint<State> | undefined,
  ) {
    this.#files = files;
    this.#path = path;
    this.#madeFrom = madeFrom;
    this.#isFile = replaceable;
    this.#sink = sink;
    this.#bytes = from?.bytes ?? 0;
    this.resumed = from?.state;
  }

  /**
   * @returns undefined where the file is complete and was to be resumed
   * @throws InputError for a file that is there and may be neither continued nor replaced
   */
  static async open<State>(
    files: FileSystem,
    path: string,
    { state, madeFrom, resume, force }: OutputOptions<State>,
  ): Promise<LineOutput<State> | undefined> {
    const target = await files.outputTarget(path);
    if (!target.replaceable)
      return new LineOutput<State>(files, target, madeFrom, await files.create(path), undefined);
    const [partial, notes] = [partialPath(target.path), notesPath(target.path)];
    if (!force && (await files.exists(path))) {
      if (resume) return undefined;
      throw new InputError(
        `${path}: is there already. Keep it with --resume, which continues what is unfinished, replace it with --force, or name another file.`,
      );
    }
    const isBegun = (await files.exists(partial)) && (await files.exists(notes));
    if (!isBegun || force) {
      await files.remove(notes);
      return new LineOutput<State>(files, target, madeFrom, await files.create(partial), undefined);
    }
    if (!resume) {
      throw new InputError(
        `${path}: was begun and not finished. Continue it with --resume, or start anew with --force.`,
      );
    }
    const from = await readCheckpoint(files, notes, state);
    if (from.made_from !== madeFrom) {
      throw new InputError(
        `${path}: was begun with other options (${from.made_from}); give those again, or start anew with --force.`,
      );
    }
    return new LineOutput(files, target, madeFrom, await files.append(partial, from.bytes), from);
  }

  /** Adds lines; `state` is that behind them, kept at the next checkpoint. */
  async write(lines: string, state: State): Promise<void> {
    this.#pending += lines;
    const isDue = performance.now() - this.#last > CHECKPOINT_MS;
    if (isDue || this.#pending.length > MEMBER_CHARACTERS) await this.#flush();
    if (isDue) await this.checkpoint(state);
  }

  /** Makes everything written so far last, so that it can be continued from here. */
  async checkpoint(state: State): Promise<void> {
    await this.#flush();
    if (!this.#isFile) return;
    await this.#sink.close();
    const kept: Checkpoint<State> = { made_from: this.#madeFrom, bytes: this.#bytes, state };
    await writeJson(this.#files, notesPath(this.#path), kept);
    this.#sink = await this.#files.append(partialPath(this.#path), this.#bytes);
    this.#last = performance.now();
  }

  /** Gives the file its name. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#sink.close();
    if (!this.#isFile) return;
    await this.#files.rename(partialPath(this.#path), this.#path);
    await this.#files.remove(notesPath(this.#path));
  }

  /** Ends early: what is there stays for a later resume; what no checkpoint speaks of, as on a full disk, does not. */
  async stop(state: State | undefined): Promise<void> {
    try {
      if (state !== undefined) await this.checkpoint(state);
    } finally {
      await this.#sink.close().catch(() => {});
      if (this.#isFile && !(await this.#files.exists(notesPath(this.#path))))
        await this.#files.remove(partialPath(this.#path));
    }
  }

  async #flush(): Promise<void> {
    if (this.#pending === '') return;
    const bytes = await this.#packed(this.#pending);
    this.#pending = '';
    await this.#sink.write(bytes);
    this.#bytes += bytes.length;
  }

  async #packed(text: string): Promise<Uint8Array> {
    if (!this.#path.endsWith('.gz')) return new TextEncoder().encode(text);
    const packed = new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'));
    return new Uint8Array(await new Response(packed).arrayBuffer());
  }
}

/** @throws InputErrors for notes that are damaged */
async function readCheckpoint<State>(
  files: FileSystem,
  path: string,
  state: z.ZodType<State>,
): Promise<Checkpoint<State>> {
  const schema = z.object({ made_from: z.string(), bytes: z.number().int().min(0), state });
  const raw = await readJson(files, path);
  const { data, error } = schema.safeParse(raw);
  if (data !== undefined) return data as Checkpoint<State>;
  const problems = problemsOf(error, schema, raw).map((p) => `${p.path.join('.')}: ${p.message}`);
  throw new InputErrors(`${path} is damaged; start anew with --force:`, problems);
}

function partialPath(path: string): string {
  return `${path}.tmp`;
}

function notesPath(path: string): string {
  return `${path}.tmp.json`;
}
