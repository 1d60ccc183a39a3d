/** Reads one file of rows and says in JSON what memory it took: read-file.ts PATH ROWS. */

import { readRow, readRows } from '../../src/engine.ts';
import { detectRuntime } from '../../src/index.ts';
import type { ReadFile } from './memory.ts';

const [path, expected] = process.argv.slice(2);
const { files } = await detectRuntime();
const residentBefore = process.memoryUsage.rss();
let [residentFirstTenth, residentPeak, rows] = [0, 0, 0];
const started = performance.now();
for await (const raw of readRows(files, path)) {
  const row = readRow(raw);
  if (row.kind !== 'pair' || row.texts.answers.length !== 2) throw new Error(`row ${rows} is no pair`);
  if (rows++ % 200 !== 0) continue;
  residentPeak = Math.max(residentPeak, process.memoryUsage.rss());
  if (rows <= Number(expected) / 10) residentFirstTenth = residentPeak;
}
if (rows !== Number(expected)) throw new Error(`${rows} rows read, ${expected} written`);
const seconds = (performance.now() - started) / 1000;
const said: ReadFile = { rows, seconds, residentBefore, residentFirstTenth, residentPeak };
console.log(JSON.stringify(said));
