/** Files as values: a name and how to write it. Directories are described as lists of these, then written at once. */
import type { FileSink, FileSystem } from '../runtime/runtime.ts';

export interface OutputFile {
  /** Name in its directory, without '/'. */
  readonly name: string;
  /** Writes the contents; whoever opened the sink closes it. */
  write(sink: FileSink): Promise<void>;
}

const COPY_BYTES = 4 * 2 ** 20;

export function textFile(name: string, text: string): OutputFile {
  return { name, write: (sink) => sink.write(text) };
}

/** A value as indented JSON with a final newline, as Hugging Face libraries write it. */
export function jsonFile(name: string, value: unknown): OutputFile {
  return textFile(name, `${JSON.stringify(value, null, 2)}\n`);
}

/** The bytes of the file `from`, piece by piece. */
export function copiedFile(name: string, files: FileSystem, from: string): OutputFile {
  return {
    name,
    async write(sink) {
      const source = await files.open(from);
      try {
        for (let offset = 0; offset < source.size; offset += COPY_BYTES)
          await sink.write(await source.readRange(offset, Math.min(COPY_BYTES, source.size - offset)));
      } finally {
        await source.close();
      }
    },
  };
}
