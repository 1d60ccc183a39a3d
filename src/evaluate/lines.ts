/** Result files, which take their name when they are complete. */
import type { FileSystem } from '../runtime/runtime.ts';

/** Writes JSON Lines while they are made. */
export async function writeLines(
  files: FileSystem,
  path: string,
  make: (write: (line: unknown) => Promise<void>) => Promise<void>,
): Promise<void> {
  const partial = `${path}.tmp`;
  const sink = await files.create(partial);
  try {
    await make((line) => sink.write(`${JSON.stringify(line)}\n`));
  } catch (error) {
    await sink.close();
    await files.remove(partial);
    throw error;
  }
  await sink.close();
  await files.rename(partial, path);
}

/** Writes one JSON value, indented. */
export async function writeJson(files: FileSystem, path: string, value: unknown): Promise<void> {
  const partial = `${path}.tmp`;
  const sink = await files.create(partial);
  await sink.write(`${JSON.stringify(value, null, 2)}\n`);
  await sink.close();
  await files.rename(partial, path);
}
