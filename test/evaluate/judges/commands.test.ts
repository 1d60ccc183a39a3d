/** `prefgrad evaluate` with a judge, as it is typed: files in, an endpoint that judges by rule, files and numbers out. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LlmCall, type LlmServer, llmServer } from '../../support/llm-server.ts';
import { cli } from '../../support/run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-judges-'));
const path = (name: string) => join(folder, name);
const writeRows = (name: string, rows: readonly unknown[]) =>
  writeFileSync(path(name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
const rowsOf = (name: string) =>
  readFileSync(path(name), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const messages = ({ body }: LlmCall) => body.messages as { content: string }[];

/** Likes 'a lucid reply', rates what has a reference 9 and everything else 5; as a model it answers in two words. */
let judge: LlmServer;
beforeAll(async () => {
  judge = await llmServer((call) => {
    const text = messages(call).at(-1)?.content ?? '';
    const isFirst = text.indexOf('a lucid reply') < text.indexOf('bad');
    if (text.includes('[[A>>B]]')) return `Clear. ${isFirst ? '[[A>>B]]' : '[[B>A]]'}`;
    if (text.includes('Answer A')) return `So: [[${isFirst ? 'A' : 'B'}]]`;
    if (text.includes('# A right answer')) return '[[9]]';
    if (text.includes('# Answer to rate')) return '[[5]]';
    return `turn ${messages(call).length}`;
  });
  const questions = ['What is red?', 'What is blue?', 'Who sings?', 'Who swims?'];
  const answers = (answer: string) => questions.map((prompt) => ({ prompt, answer }));
  writeRows('mine.jsonl', answers('a lucid reply'));
  writeRows('theirs.jsonl', answers('bad'));
});
afterAll(async () => {
  await judge.close();
  rmSync(folder, { recursive: true, force: true });
});

async function evaluated(command: string, out: string, ...args: readonly string[]) {
  const endpoint = ['--endpoint', judge.url, '--endpoint-model', 'm', '--cache', path('cache')];
  const { code, stdout, stderr } = await cli('evaluate', command, ...args, '--out', path(out), ...endpoint);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const pair = ['--answers', path('mine.jsonl'), '--baseline', path('theirs.jsonl')];

describe('prefgrad evaluate', () => {
  it('pairwise writes judgments of which alpaca-eval makes the same numbers', async () => {
    const summary = await evaluated('pairwise', 'annotations.jsonl', ...pair);
    expect(summary).toMatchObject({ win_rate: 100, n_wins: 4, judge: 'm', prompts: { name: 'benchmarks' } });
    expect(rowsOf('annotations.jsonl')[0]).toMatchObject({
      output_1: 'bad',
      output_2: 'a lucid reply',
      preference: 2,
    });
    const args = ['--annotations', path('annotations.jsonl'), '--out', path('metrics.json')];
    const { code, stderr } = await cli('evaluate', 'alpaca-eval', ...args);
    expect(code, stderr).toBe(0);
    const metrics = JSON.parse(readFileSync(path('metrics.json'), 'utf8'));
    expect(summary).toMatchObject(metrics);
    expect(metrics).toMatchObject({ discrete_win_rate: 100, avg_length: 13, difficulty: false });
  });

  it('arena-hard judges every question in both places; a second run asks nobody', async () => {
    const summary = await evaluated('arena-hard', 'games.jsonl', ...pair);
    // Won clearly in the first place, which counts three times, and barely in the second.
    expect(summary).toMatchObject({ questions: 4, games: 8, without_verdict: 0 });
    expect(summary.win_rate).toBeGreaterThan(95);
    expect(rowsOf('games.jsonl')).toHaveLength(4);
    const asked = judge.calls.length;
    expect(await evaluated('arena-hard', 'again.jsonl', ...pair)).toMatchObject({
      win_rate: summary.win_rate,
    });
    expect(judge.calls).toHaveLength(asked);
    expect(rowsOf('again.jsonl')).toEqual(rowsOf('games.jsonl'));
  });

  it('mt-bench asks the model both turns at the temperature of the category, then rates both', async () => {
    writeRows('questions.jsonl', [
      { question_id: 81, category: 'writing', turns: ['Write.', 'Again.'] },
      { question_id: 111, category: 'math', turns: ['1 + 1?', 'And 2?'], reference: ['2', '4'] },
    ]);
    const from = judge.calls.length;
    const model = ['--model-endpoint', judge.url, '--model-name', 'mine'];
    const questions = ['--questions', path('questions.jsonl')];
    const summary = await evaluated('mt-bench', 'ratings.jsonl', ...questions, ...model);
    const ofModel = judge.calls.slice(from).filter(({ body }) => body.model === 'mine');
    expect(ofModel.map(({ body }) => body.temperature).sort()).toEqual([0, 0, 0.7, 0.7]);
    expect(ofModel.map((call) => messages(call).length).sort()).toEqual([1, 1, 3, 3]);
    expect(summary).toMatchObject({ score: 7, turns: { 1: 7, 2: 7 } });
    expect(rowsOf('ratings.jsonl')).toHaveLength(4);
  });

  it('hh lets the model answer and a rater compare with the chosen answer', async () => {
    // A prompt of some 460 of the model's 512 positions leaves a short answer.
    const prompt = 'Once upon a time, there was a cat. '.repeat(38);
    writeRows('hh.jsonl', [{ prompt, chosen: 'short', rejected: 'x' }]);
    writeFileSync(path('longer.mjs'), 'export default (prompt, answer) => answer.length;');
    const args = [
      '--model',
      'examples/stories260K',
      '--data',
      path('hh.jsonl'),
      '--out',
      path('hh-cases.jsonl'),
    ];
    const { code, stdout, stderr } = await cli(
      'evaluate',
      'hh',
      ...args,
      '--rater',
      `rule:${path('longer.mjs')}`,
    );
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ count: 1, win_rate: 1 });
    const [row] = rowsOf('hh-cases.jsonl');
    expect(row).toMatchObject({ prompt, chosen: 'short', scores: [String(row.answer).length, 5], win: 1 });
  });

  it('says where an answer is missing, and keeps an output that is there', async () => {
    writeRows('fewer.jsonl', [{ prompt: 'What is red?', answer: 'bad' }]);
    const to = ['--endpoint', judge.url, '--endpoint-model', 'm'];
    const fewer = ['--answers', path('mine.jsonl'), '--baseline', path('fewer.jsonl')];
    const missing = await cli('evaluate', 'pairwise', ...fewer, ...to, '--out', path('none.jsonl'));
    expect(missing.code).toBe(2);
    expect(missing.stderr).toMatch(/What is blue\?/);
    const taken = await cli('evaluate', 'arena-hard', ...pair, ...to, '--out', path('games.jsonl'));
    expect(taken.code).toBe(2);
    expect(taken.stderr).toMatch(/games\.jsonl.*--force/s);
  });
});
