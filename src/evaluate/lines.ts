/** Result files, which take their name when they are complete. */
import { writeAtomically } from '../formats/atomic-file.ts';
import type { FileSystem } from '../runtime/runtime.ts';

/** Writes JSON Lines while they are made. */
export function writeLines(
  files: FileSystem,
  path: string,
  make: (write: (line: unknown) => Promise<void>) => Promise<void>,
): Promise<void> {
  return writeAtomically(files, path, (write) => make((line) => write(`${JSON.stringify(line)}\n`)));
}
