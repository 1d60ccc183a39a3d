/** The papers' pipelines from prompts to trained models, through a server process, on the model of the examples. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli } from '../support/run-cli.ts';

const STORIES = 'examples/stories260K';
const folder = mkdtempSync(join(tmpdir(), 'prefgrad-chain-'));
const path = (name: string) => join(folder, name);

const rowsOf = (name: string) =>
  readFileSync(path(name), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

let server: ChildProcess;
let url = '';

beforeAll(async () => {
  const args = ['bin/prefgrad.js', 'serve', '--model', STORIES, '--port', '0'];
  server = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  if (server.stdout === null) throw new Error('The server has no output.');
  for await (const line of createInterface({ input: server.stdout })) {
    url = `${line}/v1`;
    break;
  }
  const prompts = ['Once upon a time', 'Tom had a red ball', 'The little dog'].map((prompt) => ({
    prompt,
    completion: ', there was a cat. The cat was big and sad. The cat sat.',
  }));
  writeFileSync(path('prompts.jsonl'), prompts.map((row) => `${JSON.stringify(row)}\n`).join(''));
});

afterAll(async () => {
  const closed = new Promise((resolve) => server.once('close', resolve));
  server.kill('SIGKILL');
  await closed;
  rmSync(folder, { recursive: true, force: true });
});

const endpoint = () => ['--endpoint', url, '--endpoint-model', 'stories', '--cache', path('cache')];

async function done(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await cli(...args);
  expect(code, stderr).toBe(0);
}

/** One step of training on a file of rows. @returns the first line of its metrics */
async function trained(
  name: string,
  rows: string,
  objective: string,
  columns = '',
): Promise<Record<string, number>> {
  writeFileSync(
    path(`${name}.yaml`),
    `model: {path: ${STORIES}}
objective: ${objective}
data: {train: ${path(rows)}, max_length: 128, columns: {${columns}}}
training: {max_steps: 1, per_device_train_batch_size: 2, learning_rate: 1.0e-5, logging_steps: 1}
output_dir: ${path(name)}
`,
  );
  await done('train', path(`${name}.yaml`));
  const [first] = readFileSync(path(`${name}/metrics.jsonl`), 'utf8').split('\n');
  return JSON.parse(first) as Record<string, number>;
}

describe('through a server', () => {
  it('rollout -> rate by a rule -> train', async () => {
    const sampling = ['--seeds', '13,21,42', '--max-tokens', '12'];
    await done(
      'rollout',
      '--rows',
      path('prompts.jsonl'),
      '--out',
      path('rolled.jsonl'),
      ...endpoint(),
      ...sampling,
    );
    const rolled = rowsOf('rolled.jsonl');
    expect(rolled).toHaveLength(3);
    for (const { all_generated_responses: answers } of rolled)
      expect(new Set(answers as string[]).size).toBeGreaterThan(1);

    writeFileSync(path('rule.mjs'), 'export default (prompt, answer) => answer.split("e").length;');
    const rule = ['--rater', `rule:${path('rule.mjs')}`];
    await done('rate', '--rows', path('rolled.jsonl'), '--out', path('rated.jsonl'), ...rule);
    expect(rowsOf('rated.jsonl').length).toBeGreaterThan(0);
    expect((await trained('mipo', 'rated.jsonl', '{name: mipo, settings: {beta: 2}}')).loss).toBeGreaterThan(
      0,
    );
  });

  it('own-output -> bridge -> train on all four choices of columns', async () => {
    const own = ['--max-tokens', '16', ...endpoint()];
    await done('own-output', '--rows', path('prompts.jsonl'), '--out', path('own.jsonl'), ...own);
    const [first] = rowsOf('own.jsonl');
    // Greedy from 'Once upon a time' continues ', there was a little girl named Lily.'
    expect(first).toMatchObject({
      rejected: expect.stringMatching(/^, there was a little girl named Lily\. She/),
    });

    const edit = 'export default ({answer, reference}) => reference.slice(0, 20) + answer.slice(20);';
    writeFileSync(path('edit.mjs'), edit);
    const exact = ['--editor', `exact:${path('edit.mjs')}`];
    await done('bridge', '--rows', path('own.jsonl'), '--out', path('bridged.jsonl'), ...exact);
    expect(rowsOf('bridged.jsonl').length).toBeGreaterThanOrEqual(2);

    const bridged = 'chosen: chosen_bridged';
    const [dpo, bc, mc, bmc] = [
      await trained('dpo', 'bridged.jsonl', 'dpo'),
      await trained('dpo-bc', 'bridged.jsonl', 'dpo', bridged),
      await trained('dpo-mc', 'bridged.jsonl', '{name: dpo, token_weights: bmc}'),
      await trained('dpo-bmc', 'bridged.jsonl', '{name: dpo, token_weights: bmc}', bridged),
    ];
    for (const { loss } of [dpo, bc, mc, bmc]) expect(loss).toBeCloseTo(Math.LN2, 4);
    expect(new Set([dpo, bc, mc, bmc].map(({ grad_norm }) => grad_norm)).size).toBe(4);
  });
});

describe('on this machine', () => {
  it('gives what the server gives', async () => {
    const local = ['--model', STORIES, '--max-tokens', '16'];
    await done('own-output', '--rows', path('prompts.jsonl'), '--out', path('here.jsonl'), ...local);
    expect(rowsOf('here.jsonl')).toEqual(rowsOf('own.jsonl'));
    const share = ['--model', STORIES, '--share', '0.4', '--max-tokens', '8'];
    await done('continue', '--rows', path('own.jsonl'), '--out', path('cw.jsonl'), ...share);
    for (const { chosen, rejected, prefix_characters: length } of rowsOf('cw.jsonl')) {
      expect(String(rejected).slice(0, Number(length))).toBe(String(chosen).slice(0, Number(length)));
      expect(rejected).not.toBe(chosen);
    }
  });
});
