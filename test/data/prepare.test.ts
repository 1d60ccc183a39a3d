import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { emptyReport } from '../../src/data/data-report.ts';
import { prepareDataset, streamExamples } from '../../src/data/prepare.ts';
import { InputErrors } from '../../src/errors.ts';
import { jsonLines, memoryFiles } from './memory-files.ts';
import { LLAMA3, STORIES, tokenizerFrom } from './tokenizers.ts';

const stories = await tokenizerFrom(STORIES);
const llama3 = await tokenizerFrom(LLAMA3);
const path = 'd.jsonl';
const ROW = { prompt: 'Once', chosen: ' upon a time', rejected: ' a girl' };
const LABELLED = { prompt: 'Once', completion: ' upon', label: true };
const files = (rows: readonly unknown[]) => memoryFiles({ [path]: jsonLines(rows) });

describe('prepareDataset', () => {
  it('reports what became of every row', async () => {
    const long = { ...ROW, prompt: 'Once upon a time '.repeat(20) };
    const cut = { ...ROW, chosen: ' upon a time'.repeat(5) };
    const rows = [ROW, { ...ROW, rejected: ROW.chosen }, long, cut, ROW];
    const { examples, report } = await prepareDataset({
      files: files(rows),
      path,
      tokenizer: stories,
      maxLength: 12,
    });
    expect(report).toEqual({
      rows: 5,
      kept: 3,
      truncated: 1,
      identical: 1,
      tooLong: 1,
      bad: 0,
      formats: { trl: 5 },
      longest: 12,
    });
    expect(examples.map(({ index, line }) => [index, line])).toEqual([
      [0, 1],
      [1, 4],
      [2, 5],
    ]);
  });

  it('takes pairs and labelled answers together for KTO, and one kind otherwise', async () => {
    const options = { files: files([ROW, LABELLED]), path, tokenizer: stories };
    const { examples } = await prepareDataset({ ...options, expects: 'either' });
    expect(examples.map((example) => example.kind)).toEqual(['pair', 'unpaired']);
    await expect(prepareDataset({ ...options, expects: 'paired' })).rejects.toThrow(
      /d\.jsonl:2: .*unpaired row/,
    );
    await expect(prepareDataset({ ...options, expects: 'unpaired' })).rejects.toThrow(/d\.jsonl:1: .*a pair/);
  });

  it('reports all wrong rows at once', async () => {
    const rows = [{ ...ROW, chosen: '' }, ROW, { prompt: 'x', chosen: 'y' }];
    const failure = prepareDataset({ files: files(rows), path, tokenizer: stories });
    await expect(failure).rejects.toBeInstanceOf(InputErrors);
    await expect(failure).rejects.toThrow(
      /2 problems\n.*:1: field 'chosen' is an empty answer.*\n.*:3: field 'rejected' is missing/,
    );
  });

  it('says once that the tokenizer has no chat template', async () => {
    const chat = { ...ROW, prompt: [{ role: 'user', content: 'x' }] };
    const failure = prepareDataset({ files: files([chat, chat]), path, tokenizer: stories });
    await expect(failure).rejects.toThrow(/^m\/tokenizer\.json: .*no chat_template/);
  });

  it('refuses a data set of which nothing is left', async () => {
    const rows = [{ ...ROW, rejected: ROW.chosen }];
    await expect(prepareDataset({ files: files(rows), path, tokenizer: stories })).rejects.toThrow(
      /no example is left \(1 rows read as trl, 1 with identical/,
    );
  });

  it('names the template that makes all answers equal', async () => {
    const template = '{% for m in messages %}{{ m.role }}{% endfor %}';
    const tokenizer = await tokenizerFrom(STORIES, (_, __, more) => {
      more['m/chat_template.jinja'] = template;
    });
    const says = (content: string) => [{ role: 'assistant', content }];
    const row = { prompt: [{ role: 'user', content: 'x' }], chosen: says('a'), rejected: says('b') };
    await expect(prepareDataset({ files: files([row]), path, tokenizer })).rejects.toThrow(
      /1 with identical answers.* for conversations also the chat template \(.*chat_template\.jinja\)$/,
    );
  });

  it('stops at the limit', async () => {
    const { report } = await prepareDataset({
      files: files([ROW, ROW, ROW]),
      path,
      tokenizer: stories,
      limit: 2,
    });
    expect(report.rows).toBe(2);
  });
});

describe('streamExamples', () => {
  it('yields one example at a time and throws at the first wrong row', async () => {
    const report = emptyReport();
    const stream = streamExamples(
      { files: files([ROW, { prompt: 'x' }, ROW]), path, tokenizer: stories },
      report,
    );
    expect((await stream.next()).value).toMatchObject({ index: 0, line: 1 });
    expect(report.kept).toBe(1);
    await expect(stream.next()).rejects.toThrow(/d\.jsonl:2/);
  });
});

describe('real sharegpt rows', () => {
  it('become pairs whose prompt ends where the assistant begins', async () => {
    const text = readFileSync(new URL('../fixtures/sharegpt/dpo_en_12.json', import.meta.url), 'utf8');
    const options = { files: memoryFiles({ 'd.json': text }), path: 'd.json', tokenizer: llama3 };
    const { examples, report } = await prepareDataset({ ...options, expects: 'paired', diff: 'levenshtein' });
    expect(report).toMatchObject({ rows: 12, kept: 12, identical: 0, tooLong: 0 });
    const source: { conversations: { value: string }[]; chosen: { value: string } }[] = JSON.parse(text);
    for (const example of examples) {
      if (example.kind !== 'pair') throw new Error('expected a pair');
      const row = source[example.index];
      const prompt = llama3.decode(example.promptIds);
      expect(prompt.endsWith('<|start_header_id|>assistant<|end_header_id|>\n\n')).toBe(true);
      for (const { value } of row.conversations) expect(prompt).toContain(value.trim());
      expect(llama3.decode(example.chosen.ids)).toBe(`${row.chosen.value.trim()}<|eot_id|>`);
      expect(example.chosen.ids.filter((id) => id === llama3.eosId)).toHaveLength(1);
      expect(
        example.chosen.diff?.some((bit) => bit === 1) || example.rejected.diff?.some((bit) => bit === 1),
      ).toBe(true);
    }
  });
});
