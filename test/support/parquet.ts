/** Parquet files for tests, written by DuckDB: a program that shares no code with the reader under test. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ParquetOptions {
  /** Default snappy. */
  readonly codec?: 'uncompressed' | 'snappy' | 'gzip' | 'zstd' | 'brotli' | 'lz4_raw';
  /** Rows per row group; DuckDB writes at least 2048. */
  readonly rowGroupSize?: number;
}

/** The bytes of a Parquet file with these rows; DuckDB infers lists and structs from their JSON. */
export async function parquetOf(
  rows: readonly Readonly<Record<string, unknown>>[],
  { codec = 'snappy', rowGroupSize = 122_880 }: ParquetOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const folder = mkdtempSync(join(tmpdir(), 'prefgrad-duckdb-'));
  try {
    const [json, parquet] = [join(folder, 'rows.json'), join(folder, 'rows.parquet')];
    writeFileSync(json, rows.map((row) => JSON.stringify(row)).join('\n'));
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    await connection.run(
      `COPY (SELECT * FROM read_json('${json}', format = 'newline_delimited', sample_size = -1))
       TO '${parquet}' (FORMAT parquet, COMPRESSION ${codec}, ROW_GROUP_SIZE ${rowGroupSize})`,
    );
    connection.closeSync();
    instance.closeSync();
    return new Uint8Array(readFileSync(parquet));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
