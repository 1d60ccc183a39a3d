/** Parquet as other programs write it: nested columns, every codec, row groups one at a time; damage is named. */
import { parquetMetadata } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { beforeAll, describe, expect, it } from 'vitest';
import { prepareDataset } from '../../../src/data/prepare.ts';
import { readRows } from '../../../src/data/sources/read-rows.ts';
import { InputError } from '../../../src/errors.ts';
import { parquetOf } from '../../support/parquet.ts';
import { memoryFiles } from '../memory-files.ts';
import { LLAMA3, STORIES, tokenizerFrom } from '../tokenizers.ts';

const path = 'd.parquet';
const chat = (answer: string) => [
  { content: 'Hallo, Grüße?', role: 'user' },
  { content: answer, role: 'assistant' },
];
const ROWS = [
  { prompt: 'Hallo, Grüße?', chosen: chat('Ja.'), rejected: chat('Nein 🙂'), score: 7.5, all: ['a', 'b'] },
  { prompt: 'Hallo, Grüße?', chosen: chat('Gut'), rejected: chat(''), score: null, all: [] },
  { prompt: null, chosen: chat('x'), rejected: chat('y'), score: 1e10, all: null },
];

async function rowsOf(bytes: Uint8Array, wanted?: readonly string[]) {
  const rows = [];
  for await (const row of readRows(memoryFiles({ [path]: bytes }), path, wanted)) rows.push(row);
  return rows;
}

/** The error of reading a file as a data set of pairs. */
async function failure(bytes: Uint8Array): Promise<string> {
  const tokenizer = await tokenizerFrom(STORIES);
  const reading = prepareDataset({
    files: memoryFiles({ [path]: bytes }),
    path,
    tokenizer,
    expects: 'paired',
  });
  return reading.then(
    () => 'none',
    (error: unknown) => {
      expect(error).toBeInstanceOf(InputError);
      return String(error);
    },
  );
}

describe('rows that DuckDB wrote', () => {
  it.each(['uncompressed', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4_raw'] as const)(
    'read as the same rows in JSON, %s',
    async (codec) => {
      const rows = await rowsOf(await parquetOf(ROWS, { codec }));
      expect(rows.map(({ value }) => value)).toEqual(ROWS);
      expect(rows.map(({ line }) => line)).toEqual([1, 2, 3]);
    },
  );

  it('are read a row group at a time, and numbered through', async () => {
    const many = Array.from({ length: 5000 }, (_, i) => ({ prompt: `row ${i}`, list: [i, i + 1] }));
    const bytes = await parquetOf(many, { rowGroupSize: 2048 });
    expect(parquetMetadata(bytes).row_groups.length).toBeGreaterThan(2);
    const rows = readRows(memoryFiles({ [path]: bytes }), path);
    let seen = 0;
    for await (const { line, value } of rows) {
      expect(line).toBe(++seen);
      if (value.prompt !== `row ${seen - 1}`) throw new Error(`row ${seen} is ${JSON.stringify(value)}`);
    }
    expect(seen).toBe(5000);
  });

  it('train as conversations with an implicit prompt do from JSON Lines', async () => {
    const tokenizer = await tokenizerFrom(LLAMA3);
    const rows = ROWS.map(({ chosen, rejected }) => ({ chosen, rejected })).filter((_, i) => i !== 1);
    const jsonl = rows.map((row) => JSON.stringify(row)).join('\n');
    const files = memoryFiles({ [path]: await parquetOf(rows), 'd.jsonl': jsonl });
    const [a, b] = await Promise.all(
      [path, 'd.jsonl'].map((p) => prepareDataset({ files, path: p, tokenizer })),
    );
    expect(a).toEqual({ ...b, examples: b.examples.map((example) => ({ ...example, file: path })) });
    expect(a.examples).toHaveLength(2);
  });
});

describe('columns', () => {
  it('that nobody asked for are not read', async () => {
    const bytes = await parquetOf(ROWS, { codec: 'uncompressed' });
    const [group] = parquetMetadata(bytes).row_groups;
    const other = group.columns.find((column) => column.meta_data?.path_in_schema[0] === 'score');
    const offset = Number(other?.meta_data?.data_page_offset);
    bytes.fill(0xff, offset, offset + 8);
    const rows = await rowsOf(bytes, ['prompt', 'chosen', 'unknown']);
    expect(rows[0].value).toEqual({ prompt: ROWS[0].prompt, chosen: ROWS[0].chosen });
    expect(rows[0].columns).toEqual(['prompt', 'chosen', 'rejected', 'score', 'all']);
    await expect(rowsOf(bytes)).rejects.toThrow(
      /d\.parquet: column 'score' cannot be read in rows 1 to 3 \(/,
    );
  });

  it('of a large row group are read in parts where there is a page index', async () => {
    const text = Array.from({ length: 3000 }, (_, i) => `${i} ${'lorem ipsum '.repeat(300)}`);
    const bytes = new Uint8Array(
      parquetWriteBuffer({
        columnData: [{ name: 'prompt', data: text, type: 'STRING', encoding: 'PLAIN', offsetIndex: true }],
        codec: 'UNCOMPRESSED',
        rowGroupSize: 3000,
      }),
    );
    const files = memoryFiles({ [path]: bytes });
    let i = 0;
    for await (const { value } of readRows(files, path))
      if (value.prompt !== text[i++]) throw new Error(`row ${i}`);
    expect(i).toBe(3000);
    expect(files.largestRead).toBeLessThan(bytes.length * 0.7);
  });
});

describe('a file that is damaged', () => {
  let good: Uint8Array<ArrayBuffer>;
  beforeAll(async () => {
    good = await parquetOf(ROWS);
  });

  it('is named with what is wrong', async () => {
    expect(await failure(good.slice(0, good.length - 9))).toMatch(/d\.parquet: is cut off.*PAR1/);
    expect(await failure(good.slice(0, 6))).toMatch(/d\.parquet: is cut off; it has 6 bytes/);
    expect(await failure(new TextEncoder().encode('{"prompt": "a JSON file"}'))).toMatch(
      /d\.parquet: is no Parquet file/,
    );
    const footer = good.slice();
    footer.fill(0xff, footer.length - 200, footer.length - 8);
    expect(await failure(footer)).toMatch(/d\.parquet: the footer cannot be read \(/);
  });

  it('names the column whose data are damaged', async () => {
    const [group] = parquetMetadata(good).row_groups;
    const chosen = group.columns.find(
      (column) => column.meta_data?.path_in_schema[0] === 'chosen',
    )?.meta_data;
    const bytes = good.slice();
    const start = Number(chosen?.dictionary_page_offset ?? chosen?.data_page_offset);
    bytes.fill(0xff, start, start + Number(chosen?.total_compressed_size));
    expect(await failure(bytes)).toMatch(/d\.parquet: column 'chosen' cannot be read in rows 1 to 3 \(/);
  });
});

describe('columns that do not fit', () => {
  it('are named once for the file when they are missing', async () => {
    const bytes = await parquetOf([
      { prompt: 'a', chosen: 'b' },
      { prompt: 'c', chosen: 'd' },
    ]);
    const text = await failure(bytes);
    expect(text).toMatch(
      /InputError: d\.parquet: column 'rejected' is missing; .*columns here: prompt, chosen\)/,
    );
  });

  it('are named with the row when they nest what is no conversation', async () => {
    const nested = await parquetOf([{ prompt: 'a', chosen: [['b']], rejected: [['c']] }]);
    expect(await failure(nested)).toMatch(
      /d\.parquet:1: field 'chosen' message 1: expected an object, found a list/,
    );
    const struct = await parquetOf([{ prompt: 'a', chosen: { text: 'b' }, rejected: { text: 'c' } }]);
    expect(await failure(struct)).toMatch(/d\.parquet:1: field 'chosen' message 1: its role is missing/);
  });
});
