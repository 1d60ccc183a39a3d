/**
 * Output files that appear when they are complete: what is written goes into PATH.tmp, which takes the name in the end.
 * Symbolic links are followed; what is not a regular file, such as a pipe or /dev/null, is written into.
 */
import { InputError } from '../errors.ts';
import type { FileSink, FileSystem, OutputTarget } from '../runtime/runtime.ts';

/** How the unfinished file is called. */
export interface AtomicOptions {
  /** Other processes may write the same file at the same time: the unfinished one gets a name of its own. */
  readonly shared?: boolean;
}

export class AtomicFile {
  readonly #files: FileSystem;
  readonly #target: OutputTarget;
  readonly #unfinished: string;
  readonly #sink: FileSink;

  private constructor(files: FileSystem, target: OutputTarget, unfinished: string, sink: FileSink) {
    this.#files = files;
    this.#target = target;
    this.#unfinished = unfinished;
    this.#sink = sink;
  }

  /** @throws InputError where `path` is a directory or may not be written */
  static async open(
    files: FileSystem,
    path: string,
    { shared = false }: AtomicOptions = {},
  ): Promise<AtomicFile> {
    const target = await files.outputTarget(path);
    const suffix = shared ? `.${crypto.randomUUID()}.tmp` : '.tmp';
    const unfinished = target.replaceable ? target.path + suffix : target.path;
    return new AtomicFile(files, target, unfinished, await files.create(unfinished));
  }

  write(bytes: Uint8Array | string): Promise<void> {
    return this.#sink.write(bytes);
  }

  /** Gives the file its name. */
  async commit(): Promise<void> {
    try {
      await this.#sink.close();
      if (this.#target.replaceable) await this.#files.rename(this.#unfinished, this.#target.path);
    } catch (error) {
      await this.#remove();
      throw error;
    }
  }

  /** Leaves what was there before. Does not fail: whoever discards has an error to tell already. */
  async discard(): Promise<void> {
    await this.#sink.close().catch(() => {});
    await this.#remove();
  }

  async #remove(): Promise<void> {
    if (this.#target.replaceable) await this.#files.remove(this.#unfinished).catch(() => {});
  }
}

/** Writes a file with what `make` gives the sink; when it fails, what was there stays. */
export async function writeAtomically(
  files: FileSystem,
  path: string,
  make: (write: (bytes: Uint8Array | string) => Promise<void>) => Promise<void>,
  options?: AtomicOptions,
): Promise<void> {
  const file = await AtomicFile.open(files, path, options);
  try {
    await make((bytes) => file.write(bytes));
  } catch (error) {
    await file.discard();
    throw error;
  }
  await file.commit();
}

/** Writes one JSON value, indented. */
export function writeJson(
  files: FileSystem,
  path: string,
  value: unknown,
  options?: AtomicOptions,
): Promise<void> {
  return writeAtomically(files, path, (write) => write(`${JSON.stringify(value, null, 2)}\n`), options);
}

/**
 * To be called before any work is done for an output.
 * @throws InputError where it is there already and is not to be replaced, and where it cannot be written
 */
export async function checkOutput(files: FileSystem, path: string, force: boolean): Promise<void> {
  const { replaceable } = await files.outputTarget(path);
  if (!replaceable || force || !(await files.exists(path))) return;
  throw alreadyThere(path);
}

/** For an output that is there, of a command that leaves none half done. */
export function alreadyThere(path: string): InputError {
  return new InputError(
    `${path}: is there already, and complete: there is nothing to --resume. Replace it with --force, or name another.`,
  );
}
