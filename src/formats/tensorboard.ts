/** TensorBoard event files with scalars, continued at an exact byte when a run is resumed. */
import type { FileSink, FileSystem } from '../runtime/runtime.ts';
import { scalarsRecord, versionRecord } from './tensorboard-records.ts';

export interface TensorBoardOptions {
  /** Continue this file, cut back to `offset` bytes; from a checkpoint. A file that is gone is begun anew. */
  readonly resume?: { readonly file: string; readonly offset: number };
  /** Part of a new file's name. */
  readonly host?: string;
  /** Seconds since 1970. */
  readonly now?: () => number;
}

export class TensorBoardWriter {
  /** Name of the event file in its directory. */
  readonly file: string;
  readonly #sink: FileSink;
  readonly #now: () => number;
  #offset: number;

  private constructor(file: string, sink: FileSink, offset: number, now: () => number) {
    this.file = file;
    this.#sink = sink;
    this.#offset = offset;
    this.#now = now;
  }

  /** Opens an event file in `directory`, which is made if need be. */
  static async open(
    files: FileSystem,
    directory: string,
    options: TensorBoardOptions = {},
  ): Promise<TensorBoardWriter> {
    const now = options.now ?? (() => Date.now() / 1000);
    const { resume } = options;
    await files.makeDirectory(directory);
    if (resume !== undefined && (await files.exists(`${directory}/${resume.file}`))) {
      const sink = await files.append(`${directory}/${resume.file}`, resume.offset);
      return new TensorBoardWriter(resume.file, sink, resume.offset, now);
    }
    const name = await freeName(files, directory, Math.floor(now()), options.host ?? 'prefgrad');
    const writer = new TensorBoardWriter(name, await files.create(`${directory}/${name}`), 0, now);
    await writer.#write(versionRecord(now()));
    return writer;
  }

  /** Bytes written so far: what a checkpoint remembers. */
  get offset(): number {
    return this.#offset;
  }

  /** Appends one record. Values may be infinite or NaN; TensorBoard shows such points as marks. */
  scalars(step: number, values: Readonly<Record<string, number>>): Promise<void> {
    return this.#write(scalarsRecord(this.#now(), step, values));
  }

  close(): Promise<void> {
    return this.#sink.close();
  }

  async #write(record: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#sink.write(record);
    this.#offset += record.length;
  }
}

/** TensorBoard takes any name with 'tfevents' in it; ours sort by time. */
async function freeName(
  files: FileSystem,
  directory: string,
  seconds: number,
  host: string,
): Promise<string> {
  for (let n = 0; ; n++) {
    const name = `events.out.tfevents.${String(seconds).padStart(10, '0')}.${host}.${n}`;
    if (!(await files.exists(`${directory}/${name}`))) return name;
  }
}
