/** Compressed JSON Lines: what they are, their bytes say; damage is named. */
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readRows } from '../../../src/data/sources/read-rows.ts';
import { jsonLines, memoryFiles } from '../memory-files.ts';

const ROWS = Array.from({ length: 3000 }, (_, i) => ({ i, text: `é ${'story '.repeat(i % 50)}` }));
const GZIP = new Uint8Array(gzipSync(jsonLines(ROWS)));
/** Written by zstd 1.5: the same rows. */
const ZSTD = new Uint8Array(readFileSync(new URL('../../fixtures/zstd/rows.jsonl.zst', import.meta.url)));

async function rowsOf(bytes: Uint8Array, path: string) {
  const rows: unknown[] = [];
  for await (const { line, value } of readRows(memoryFiles({ [path]: bytes }), path)) {
    expect(line).toBe(rows.push(value));
  }
  return rows;
}

describe.each([
  ['gzip', GZIP, 'rows.jsonl.gz'],
  ['zstd', ZSTD, 'rows.jsonl.zst'],
])('rows packed with %s', (_, packed, path) => {
  it('read as they were, whatever the file is called', async () => {
    const rows = await rowsOf(packed, path);
    expect(rows).toHaveLength(ROWS.length);
    expect(JSON.stringify(rows)).toBe(JSON.stringify(ROWS));
    expect(await rowsOf(packed, 'rows')).toHaveLength(ROWS.length);
  });

  it('name the file when they are cut off or damaged', async () => {
    await expect(rowsOf(packed.slice(0, packed.length / 2), path)).rejects.toThrow(
      /^rows\.jsonl\.\w+: the (gzip|zstd) data are damaged or cut off/,
    );
    const damaged = packed.slice();
    damaged.fill(0x55, 30, 60);
    await expect(rowsOf(damaged, path)).rejects.toThrow(/rows\.jsonl\.\w+/);
  });

  it('close the file when the reader stops early', async () => {
    const files = memoryFiles({ [path]: packed });
    for await (const _row of readRows(files, path)) break;
    expect(files.closed).toBe(1);
  });
});
