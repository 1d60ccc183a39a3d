/** Rows of a Parquet file, a row group at a time, and of its columns only those that are asked for. */
import {
  type AsyncBuffer,
  type FileMetaData,
  type ParquetScan,
  parquetMetadataAsync,
  parquetScan,
  parquetSchema,
} from 'hyparquet';
import { InputError } from '../../errors.ts';
import type { FileSource } from '../../runtime/runtime.ts';
import { type JsonObject, reason } from '../json.ts';
import { beginsWith, MAGIC } from './bytes.ts';
import type { RawRow } from './raw-row.ts';

/** Magic, length of the footer, magic. */
const LEAST_BYTES = 12;
/** A row group that is larger is read in parts where the file has an index of its pages. */
const PART_BYTES = 8 * 2 ** 20;

/**
 * Yields the rows in order; `line` is the number of the row, from 1. Memory holds the asked-for columns of one row group.
 * @param wanted - columns to read as far as the file has them; without it all
 * @throws InputError naming the file, and the column where one cannot be read
 */
export async function* parquetRows(source: FileSource, wanted?: readonly string[]): AsyncGenerator<RawRow> {
  const { name } = source;
  await checkMagic(source);
  const file: AsyncBuffer = {
    byteLength: source.size,
    slice: async (start, end = source.size) => (await source.readRange(start, end - start)).buffer,
  };
  const { compressors } = await import('hyparquet-compressors');
  const metadata = await readable(`${name}: the footer cannot be read`, () => parquetMetadataAsync(file));
  const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
  const read = wanted === undefined ? columns : columns.filter((column) => wanted.includes(column));
  const scan = await readable(name, () => parquetScan({ file, metadata, columns: read, compressors }));
  for (const { rowStart, rowEnd } of partsOf(scan, metadata)) {
    const values = new Map<string, ArrayLike<unknown>>();
    for (const column of read) {
      const what = `${name}: column '${column}' cannot be read in rows ${rowStart + 1} to ${rowEnd}`;
      const data = await readable(what, () => scan.readColumn({ column, rowStart, rowEnd }));
      if (data.length !== rowEnd - rowStart) {
        throw new InputError(`${what} (it has ${data.length} values); write or download the file again`);
      }
      values.set(column, data);
    }
    for (let i = 0; i < rowEnd - rowStart; i++) {
      const value: JsonObject = {};
      for (const [column, data] of values) value[column] = plain(data[i]);
      yield { file: name, line: rowStart + i + 1, value, columns };
    }
  }
}

async function checkMagic(source: FileSource): Promise<void> {
  const { name, size } = source;
  if (size < LEAST_BYTES) throw new InputError(`${name}: is cut off; it has ${size} bytes`);
  if (!beginsWith(await source.readRange(0, 4), MAGIC.parquet)) {
    throw new InputError(
      `${name}: is no Parquet file, as it does not begin with PAR1; give it the ending of what it is`,
    );
  }
  const end = await source.readRange(size - 4, 4);
  if (beginsWith(end, MAGIC.parquet)) return;
  if (new TextDecoder().decode(end) === 'PARE')
    throw new InputError(`${name}: is encrypted; decrypt it first`);
  throw new InputError(`${name}: is cut off, as it does not end with PAR1; write or download the file again`);
}

/** Row ranges that are read at a time. */
function* partsOf(
  { ranges }: ParquetScan,
  metadata: FileMetaData,
): Generator<{ rowStart: number; rowEnd: number }> {
  let group = 0;
  let groupEnd = 0;
  for (const { rowStart, rowEnd } of ranges) {
    while (groupEnd <= rowStart) groupEnd += Number(metadata.row_groups[group++].num_rows);
    const { columns, total_byte_size } = metadata.row_groups[group - 1];
    const indexed = columns.every((column) => column.offset_index_offset !== undefined);
    const parts = indexed ? Math.ceil(Number(total_byte_size) / PART_BYTES) : 1;
    const rows = Math.ceil((rowEnd - rowStart) / Math.max(1, parts));
    for (let start = rowStart; start < rowEnd; start += rows) {
      yield { rowStart: start, rowEnd: Math.min(start + rows, rowEnd) };
    }
  }
}

async function readable<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw new InputError(`${what} (${reason(error)}); write or download the file again`);
  }
}

/** The value as JSON would hold it. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value === undefined) return null;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value)) return Array.from(value as Float64Array, plain);
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}
