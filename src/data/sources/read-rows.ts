/** Rows of one file of any kind we read: JSON Lines, a JSON array, both also as gzip or Zstandard, or Parquet. */
import { InputError } from '../../errors.ts';
import type { FileSource } from '../../runtime/runtime.ts';
import type { ReadFiles } from '../load-tokenizer.ts';
import { beginsWith, compressionOf, MAGIC, unpackedBytes } from './bytes.ts';
import { jsonRows } from './jsonl.ts';
import type { RawRow } from './raw-row.ts';

/**
 * Yields the rows of `path` in order. What the file is, its first bytes say. Memory does not grow with it, but for a JSON
 * array, which is read whole.
 * @param wanted - of Parquet, read these columns only
 * @throws InputError with file and line (or column) for what cannot be read
 */
export async function* readRows(
  files: ReadFiles,
  path: string,
  wanted?: readonly string[],
): AsyncGenerator<RawRow> {
  if (!(await files.exists(path)))
    throw new InputError(`${path}: no such file; check the path of the data set`);
  const source = await files.open(path);
  try {
    yield* rowsOf(source, wanted);
  } finally {
    await source.close();
  }
}

async function* rowsOf(source: FileSource, wanted: readonly string[] | undefined): AsyncGenerator<RawRow> {
  const head = await source.readRange(0, Math.min(4, source.size));
  if (beginsWith(head, MAGIC.parquet) || source.name.endsWith('.parquet')) {
    // A page that reads no Parquet does not load its reader.
    const { parquetRows } = await import('./parquet.ts');
    yield* parquetRows(source, wanted);
    return;
  }
  yield* jsonRows(unpackedBytes(source, compressionOf(head)), source.name);
}
