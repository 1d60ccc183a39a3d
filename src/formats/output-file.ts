/** Files as values: a name and how to write it. Directories are described as lists of these, then written at once. */
import type { FileSink, FileSystem } from '../runtime/runtime.ts';

export interface OutputFile {
  /** Name in its directory, without '/'. */
  readonly name: string;
  /** Writes the contents; whoever opened the sink closes it. */
  write(sink: FileSink): Promise<void>;
}

export function textFile(name: string, text: string): OutputFile {
  return { name, write: (sink) => sink.write(text) };
}

/** A value as indented JSON with a final newline, as Hugging Face libraries write it. */
export function jsonFile(name: string, value: unknown): OutputFile {
  return textFile(name, `${JSON.stringify(value, null, 2)}\n`);
}

/** The bytes that the file `from` has now, whatever becomes of it until they are written. */
export async function heldFile(name: string, files: FileSystem, from: string): Promise<OutputFile> {
  const source = await files.open(from);
  try {
    const bytes = await source.readRange(0, source.size);
    return { name, write: (sink) => sink.write(bytes) };
  } finally {
    await source.close();
  }
}
