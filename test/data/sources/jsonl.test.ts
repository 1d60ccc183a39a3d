import { describe, expect, it } from 'vitest';
import { readRows } from '../../../src/data/sources/read-rows.ts';
import { InputError } from '../../../src/errors.ts';
import { jsonLines, memoryFiles } from '../memory-files.ts';

async function rowsOf(content: string | Uint8Array) {
  const rows: [number, unknown][] = [];
  for await (const { line, value } of readRows(memoryFiles({ 'd.jsonl': content }), 'd.jsonl'))
    rows.push([line, value]);
  return rows;
}

describe('JSON Lines', () => {
  it('numbers lines from 1 and skips blank ones; the last line needs no end', async () => {
    expect(await rowsOf('{"a":1}\n\n  \r\n{"a":"é"}\r\n{"a":3}')).toEqual([
      [1, { a: 1 }],
      [4, { a: 'é' }],
      [5, { a: 3 }],
    ]);
  });

  it('tolerates a byte order mark', async () => {
    expect(await rowsOf('\uFEFF{"a":1}\n')).toEqual([[1, { a: 1 }]]);
  });

  it('reads in chunks, across lines and characters that chunks cut', async () => {
    const rows = Array.from({ length: 400 }, (_, i) => ({ i, text: 'é🙂x'.repeat(500 + i) }));
    const files = memoryFiles({ 'd.jsonl': jsonLines(rows) });
    const seen: unknown[] = [];
    for await (const row of readRows(files, 'd.jsonl')) seen.push(row.value);
    expect(seen).toEqual(rows);
    expect(files.largestRead).toBe(1 << 18);
    expect(files.closed).toBe(1);
  });

  it('closes the file when the reader stops early', async () => {
    const files = memoryFiles({ 'd.jsonl': jsonLines([{}, {}]) });
    for await (const _ of readRows(files, 'd.jsonl')) break;
    expect(files.closed).toBe(1);
  });

  it.each([
    ['{"a":1}\n{"a":\n', /d\.jsonl:2: not valid JSON .*one JSON object per line/],
    ['{"a":1}\n"text"\n', /d\.jsonl:2: a row must be a JSON object, found a string/],
    [Uint8Array.of(0x7b, 0x7d, 0x0a, 0xff, 0xfe), /d\.jsonl:2: not UTF-8/],
  ])('names file and line of %j', async (content, message) => {
    await expect(rowsOf(content)).rejects.toThrow(message);
    await expect(rowsOf(content)).rejects.toBeInstanceOf(InputError);
  });

  it('names a file that is not there', async () => {
    await expect(readRows(memoryFiles({}), 'x.jsonl').next()).rejects.toThrow(/x\.jsonl: no such file/);
  });
});

describe('a JSON array', () => {
  it('gives the line on which each element begins', async () => {
    const text = '\n[\n  {"a": "]}\\",{"},\n  {\n    "b": [1, {"c": 2}]\n  }, {"d": 3}\n]\n';
    expect(await rowsOf(text)).toEqual([
      [3, { a: ']}",{' }],
      [4, { b: [1, { c: 2 }] }],
      [6, { d: 3 }],
    ]);
    expect(await rowsOf('[]')).toEqual([]);
  });

  it.each([
    ['[\n{"a":1},\n{"a" 2}\n]', /d\.jsonl:3: not valid JSON/],
    ['[\n{"a":1},\n7]', /d\.jsonl:3: a row must be a JSON object, found a number/],
    ['[{"a":1},', /does not end/],
    ['[{"a":1}] {"b":2}', /text behind the end/],
  ])('names the line of what is wrong in %j', async (content, message) => {
    await expect(rowsOf(content)).rejects.toThrow(message);
  });
});
