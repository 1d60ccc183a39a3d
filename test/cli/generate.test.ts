/** `prefgrad generate` from the command line to the files it writes. */
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Cli } from '../../src/cli/context.ts';
import { encodePrompt } from '../../src/cli/generate-rows.ts';
import { runCli } from '../../src/cli/program.ts';
import { readRow } from '../../src/data/rows.ts';
import { RowTokenizer } from '../../src/data/tokenize.ts';
import { readTextFacts, templateOf } from '../../src/generate/text-model.ts';
import { readPrompt } from '../../src/preferences/dialogue.ts';
import { temporaryDirectory } from '../runtime/temporary.ts';
import { testRuntime } from '../support/runtime.ts';

const TEMPLATE =
  "{{ bos_token }}{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}";

/** stories260K with a chat template, and a token that its embedding does not have. */
const folder = await temporaryDirectory();
const MODEL = `${folder}/model`;
cpSync('examples/stories260K', MODEL, { recursive: true });
writeFileSync(`${MODEL}/chat_template.jinja`, TEMPLATE);
const tokenizerJson = JSON.parse(readFileSync(`${MODEL}/tokenizer.json`, 'utf8')) as {
  added_tokens: object[];
};
const extra = {
  id: 512,
  content: '<extra>',
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
};
tokenizerJson.added_tokens.push({ ...extra, special: true });
writeFileSync(`${MODEL}/tokenizer.json`, JSON.stringify(tokenizerJson));

async function run(...args: string[]) {
  const found = { out: '', err: '', code: -1 };
  const cli: Cli = {
    out: (text) => {
      found.out += text;
    },
    err: (text) => {
      found.err += text;
    },
    terminal: undefined,
    runtime: async () => testRuntime(),
    exitCode: 0,
  };
  found.code = await runCli(['generate', '--model', MODEL, '--max-new-tokens', '12', ...args], cli);
  return found;
}

const lines = (path: string) =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const write = (name: string, rows: readonly object[]) => {
  const path = `${folder}/${name}`;
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return path;
};

const TEXT = 'Once upon a time';
const ROWS = [
  { id: 'a', prompt: TEXT, note: { kept: [1, 2] } },
  { id: 'b', prompt: [{ role: 'user', content: 'Tell a story.' }], system: 'Be short.' },
  {
    id: 'c',
    conversations: [
      { from: 'human', value: 'Hello' },
      { from: 'gpt', value: 'Hi' },
    ],
  },
  { id: 'd', prompt: 'Lily', chosen: ' ran.', rejected: ' sat.' },
];

describe('texts', () => {
  it('of --prompt go to stdout, greedy ones as PyTorch finds them', async () => {
    const { out, code } = await run('--prompt', 'Once upon a time', '--prompt', 'Once upon a time');
    const text = 'Once upon a time, there was a little girl';
    expect(code).toBe(0);
    expect(out.startsWith(text)).toBe(true);
    expect(out.split('\n\n').map((part) => part.startsWith(text))).toEqual([true, true]);
  });
});

describe('rows', () => {
  it('are rows again, with a completion in the form of their prompt', async () => {
    const out = `${folder}/out.jsonl`;
    const { err, code } = await run('--prompts', write('rows.jsonl', ROWS), '--out', out);
    expect(code).toBe(0);
    const written = lines(out);
    expect(written).toMatchObject(ROWS.map((row, index) => ({ ...row, index })));
    expect(written[0].token_ids).toEqual([432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426, 338]);
    expect(written.map(({ completion }) => Array.isArray(completion))).toEqual([false, true, true, false]);
    expect(written[0].finish_reason).toBe('length');
    expect(err).toMatch(/4 rows\. Tokens: mean 12, median 12, .* 4 cut off\./);
    expect(err).toMatch(/48 tokens in .* s, .* tokens\/s\./);
    expect(JSON.parse(readFileSync(`${out}.report.json`, 'utf8'))).toMatchObject({
      written: 4,
      summary: { tokens: 48 },
    });
  });

  it('have the prompts that train gives them', async () => {
    const facts = await readTextFacts(testRuntime().files, MODEL);
    const turns = (content: string) => [{ role: 'assistant', content }];
    const pairs = [
      ROWS[3],
      { prompt: ROWS[1].prompt, system: 'Be short.', chosen: turns('a'), rejected: turns('b') },
      { prompt: 'Lily', chosen: turns('a'), rejected: turns('b') },
      { conversations: [{ from: 'human', value: 'Hello' }], system: 'Be', chosen: 'a', rejected: 'b' },
    ];
    const rows = new RowTokenizer(facts.tokenizer);
    for (const value of pairs) {
      const raw = { file: 'rows.jsonl', line: 1, value };
      const tokenized = rows.tokenize(readRow(raw), 0);
      if (!('example' in tokenized)) throw new Error('The row was dropped.');
      const ids = encodePrompt(readPrompt(raw), facts, templateOf(facts.tokenizer), raw);
      expect(ids).toEqual([...tokenized.example.promptIds]);
    }
  });

  it('that cannot be used are left out, counted and listed', async () => {
    const path = write('bad.jsonl', [
      { text: 'no prompt' },
      ROWS[0],
      { prompt: 'a '.repeat(600) },
      { prompt: 'an <extra> token' },
      { prompt: [{ role: 'user' }] },
    ]);
    const out = `${folder}/bad-out.jsonl`;
    const { err, code } = await run('--prompts', path, '--out', out);
    expect(code).toBe(2);
    expect(lines(out).map(({ index }) => index)).toEqual([1]);
    expect(err).toContain('4 bad rows were left out');
    expect(err).toContain("bad.jsonl:1: field 'prompt' is missing");
    expect(err).toContain('bad.jsonl:3: the prompt has 602 tokens, but the model has 512 positions');
    expect(err).toContain("bad.jsonl:4: token id 512 ('<extra>') lies outside of");
    expect(err).toContain('bad.jsonl:5: ');
    const skipped = await run('--prompts', path, '--out', out, '--force', '--on-bad-row', 'skip');
    expect(skipped.code).toBe(0);
    expect(lines(out).length).toBe(1);
  });
});

describe('an output that is there', () => {
  it('is not touched, gone on with, or replaced, as is asked', async () => {
    const rows = Array.from({ length: 9 }, (_, i) => ({ prompt: TEXT.slice(0, 3 + i), id: i }));
    const out = `${folder}/resumed.jsonl`;
    const args = [
      '--prompts',
      write('nine.jsonl', rows),
      '--out',
      out,
      '--temperature',
      '1',
      '--batch-size',
      '3',
    ];
    expect((await run(...args)).code).toBe(0);
    const whole = readFileSync(out, 'utf8');
    // As a killed process leaves it: some rows and half of one.
    writeFileSync(out, whole.slice(0, whole.indexOf('"index":4') + 20));
    const refused = await run(...args);
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('--resume')]);
    const other = await run(...args, '--resume', '--seed', '1');
    expect([other.code, other.err]).toEqual([2, expect.stringContaining('other settings (seed: 42 -> 1)')]);
    const resumed = await run(...args, '--resume', '--batch-size', '2');
    expect(resumed.code).toBe(0);
    expect(readFileSync(out, 'utf8')).toBe(whole);
    expect((await run(...args, '--force', '--seed', '1')).code).toBe(0);
    expect(readFileSync(out, 'utf8')).not.toBe(whole);
  });
});

describe('options that do not go together', () => {
  it.each([
    [[], 'nothing to continue'],
    [['--prompt', 'a', '--prompts', 'b'], 'either --prompt TEXT or --prompts FILE'],
    [['--prompt', 'a', '--out', 'b'], '--out is for --prompts'],
    [['--prompts', 'b'], 'give --out'],
    [['--prompts', 'b', '--out', 'c', '--resume', '--force'], 'exclude each other'],
    [['--prompts', 'nowhere.jsonl', '--out', 'c'], 'nowhere.jsonl: no such file'],
  ])('%j are refused', async (args, message) => {
    const { code, err } = await run(...args);
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
    expect(existsSync('c')).toBe(false);
  });
});
