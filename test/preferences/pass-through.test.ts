/** Columns that a command does not know come out as they went in, whichever command it is. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type LlmServer, llmServer } from '../support/llm-server.ts';
import { cli } from '../support/run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-columns-'));
const path = (name: string) => join(folder, name);
let server: LlmServer;

/** Columns of the user's own, one of which has a name that every object knows. */
const OWN = { id: 'row-7', source: { file: 'a.txt', lines: [3, 4] }, score: null, constructor: 'x' };
const ROW = {
  prompt: 'What do cats like?',
  chosen: 'Fish is liked by all cats.',
  rejected: 'Stones are liked by cats.',
  ...OWN,
};

beforeAll(async () => {
  server = await llmServer(({ body }) => {
    const text = (body.messages as { content: string }[] | undefined)?.at(-1)?.content ?? '';
    if (text.includes('copied exactly')) return '```json\n[]\n```';
    if (text.includes("# Student's solution")) return '<edited>\nFish are liked by cats.\n</edited>';
    return ` fish ${body.seed ?? ''}`;
  });
  writeFileSync(path('rows.jsonl'), `${JSON.stringify(ROW)}\n`);
  const answered = { prompt: ROW.prompt, all_generated_responses: ['a', 'b c'], ...OWN };
  writeFileSync(path('answers.jsonl'), `${JSON.stringify(answered)}\n`);
  writeFileSync(path('solved.jsonl'), `${JSON.stringify({ prompt: '1 + 1?', completion: '2', ...OWN })}\n`);
  writeFileSync(path('longest.mjs'), 'export default (prompt, answer) => answer.length;\n');
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

it.each([
  ['rollout', 'rows.jsonl', []],
  ['rate', 'answers.jsonl', ['--rater', `rule:${path('longest.mjs')}`]],
  ['own-output', 'solved.jsonl', []],
  ['continue', 'rows.jsonl', ['--tokenizer', 'examples/stories260K']],
  ['bridge', 'rows.jsonl', []],
  ['weigh', 'rows.jsonl', []],
])('%s', async (command, rows, more) => {
  const out = path(`${command}.jsonl`);
  const asks = command !== 'rate';
  const endpoint = ['--endpoint', server.url, '--endpoint-model', 'm', '--cache', path('cache')];
  const { code, stderr } = await cli(
    ...[command, '--rows', path(rows), '--out', out, ...more, ...(asks ? endpoint : [])],
  );
  expect(code, stderr).toBe(0);
  const [written] = readFileSync(out, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  for (const [name, value] of Object.entries(OWN)) expect(written[name], name).toEqual(value);
});

it('a rule that throws is named, without a stack', async () => {
  writeFileSync(path('broken.mjs'), "export default () => { throw new Error('no such word'); };\n");
  const rater = ['--rater', `rule:${path('broken.mjs')}`];
  const { code, stderr } = await cli(
    'rate',
    '--rows',
    path('answers.jsonl'),
    '--out',
    path('none.jsonl'),
    ...rater,
  );
  expect(code).toBe(1);
  expect(stderr).toContain(`prefgrad: ${path('broken.mjs')}: failed: no such word\n`);
});
