/**
 * Does memory stay flat while a large file is read? Files of 1 GB are written by DuckDB, and a process of its own reads
 * each: rows are parsed, recognised and split into prompt and answers, as training does before it tokenizes.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { commitNow } from '../report.ts';

/** What a process says of the file that it has read. */
export interface ReadFile {
  readonly rows: number;
  readonly seconds: number;
  /** Resident bytes before reading, at most in the first tenth of the rows, and at most ever. */
  readonly residentBefore: number;
  readonly residentFirstTenth: number;
  readonly residentPeak: number;
}

interface MemoryRow extends ReadFile {
  readonly file: string;
  readonly bytes: number;
}

/** Bytes of text in a row: prompt and two answers, of which the answers are lists of messages. */
const ROW_BYTES = 3400;

/** How the files are written. */
const FILES: readonly (readonly [name: string, options: string])[] = [
  ['pairs.parquet', 'FORMAT parquet, COMPRESSION snappy'],
  ['pairs.jsonl', 'FORMAT json'],
  ['pairs.jsonl.gz', 'FORMAT json, COMPRESSION gzip'],
];

/** @param out JSON file for the result */
export async function benchDataMemory(megabytes: number, out: string | undefined): Promise<void> {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const folder = mkdtempSync(join(tmpdir(), 'prefgrad-memory-'));
  const rows: MemoryRow[] = [];
  const count = Math.ceil((megabytes * 1e6) / ROW_BYTES);
  try {
    for (const [name, options] of FILES) {
      const path = join(folder, name);
      const instance = await DuckDBInstance.create(':memory:', { memory_limit: '1GB' });
      const connection = await instance.connect();
      await connection.run(`COPY (${pairs(count)}) TO '${path}' (${options})`);
      connection.closeSync();
      instance.closeSync();
      const reader = new URL('./read-file.ts', import.meta.url).pathname;
      const said = execFileSync(process.execPath, [...process.execArgv, reader, path, String(count)], {
        encoding: 'utf8',
      });
      const row = { file: name, bytes: statSync(path).size, ...(JSON.parse(said) as ReadFile) };
      console.log(describe(row));
      rows.push(row);
      rmSync(path);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (out === undefined) return;
  const report = {
    date: new Date().toISOString(),
    commit: commitNow(),
    node: process.version,
    cpu: cpus()[0]?.model,
    text_bytes: count * ROW_BYTES,
    rows,
  };
  writeFileSync(out, `${JSON.stringify(report, null, 2)}\n`);
}

/** Rows whose text does not compress well: digests of their number. */
function pairs(count: number): string {
  const text = (salt: string, repeats: number) =>
    Array.from({ length: repeats }, (_, i) => `md5('${salt}${i}' || i)`).join(` || ' ' || `);
  const messages = (salt: string) =>
    `[{role: 'user', content: ${text('p', 20)}}, {role: 'assistant', content: ${text(salt, 30)}}]`;
  return `SELECT ${text('p', 20)} AS prompt, ${messages('c')} AS chosen, ${messages('r')} AS rejected, i AS id FROM range(${count}) t(i)`;
}

function describe({
  file,
  bytes,
  rows,
  seconds,
  residentBefore,
  residentFirstTenth,
  residentPeak,
}: MemoryRow) {
  const mb = (value: number) => `${Math.round(value / 1e6)} MB`;
  return (
    `${file}: ${mb(bytes)}, ${rows} rows in ${seconds.toFixed(0)} s; resident ${mb(residentBefore)} before, ` +
    `${mb(residentFirstTenth)} in the first tenth, ${mb(residentPeak)} at most`
  );
}
