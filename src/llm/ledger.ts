/**
 * What answers have used, a line each as soon as it is there: {"prompt_tokens": 10, "completion_tokens": 5}. So a budget
 * holds over runs that are stopped, killed and continued.
 */
import { InputError } from '../errors.ts';
import type { FileSink, FileSystem } from '../runtime/runtime.ts';

export interface Tokens {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

export class UsageLedger {
  /** Of earlier runs. */
  readonly before: Tokens;
  readonly #files: FileSystem;
  readonly #path: string;
  /** Bytes of whole lines: a process that was killed may leave half of one. */
  readonly #bytes: number;
  #sink: Promise<FileSink> | undefined;
  #written: Promise<void> = Promise.resolve();

  private constructor(files: FileSystem, path: string, before: Tokens, bytes: number) {
    this.#files = files;
    this.#path = path;
    this.before = before;
    this.#bytes = bytes;
  }

  /** Changes nothing before the first `add`. @param resume false begins anew. @throws InputError for a file that is no ledger */
  static async open(files: FileSystem, path: string, resume: boolean): Promise<UsageLedger> {
    if (!resume || !(await files.exists(path)))
      return new UsageLedger(files, path, { promptTokens: 0, completionTokens: 0 }, 0);
    const text = await files.readText(path);
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    const lines = whole.split('\n').slice(0, -1);
    const used = lines.map((line, i) => readTokens(line, `${path}:${i + 1}`));
    const before = {
      promptTokens: used.reduce((sum, { promptTokens }) => sum + promptTokens, 0),
      completionTokens: used.reduce((sum, { completionTokens }) => sum + completionTokens, 0),
    };
    return new UsageLedger(files, path, before, new TextEncoder().encode(whole).length);
  }

  /** Resolves once the line is in the file. */
  add({ promptTokens, completionTokens }: Tokens): Promise<void> {
    const line = { prompt_tokens: promptTokens, completion_tokens: completionTokens };
    const write = async () => {
      this.#sink ??= this.#files.append(this.#path, this.#bytes);
      await (await this.#sink).write(`${JSON.stringify(line)}\n`);
    };
    this.#written = this.#written.then(write);
    return this.#written;
  }

  async close(): Promise<void> {
    await this.#written;
    await (await this.#sink)?.close();
  }
}

function readTokens(line: string, where: string): Tokens {
  try {
    const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = JSON.parse(line);
    if (Number.isFinite(promptTokens) && Number.isFinite(completionTokens))
      return { promptTokens, completionTokens };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new InputError(
    `${where}: is no record of tokens; without this file --max-cost counts from 0, so remove it only if you mean that.`,
  );
}
