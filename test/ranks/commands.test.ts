/** Commands whose rows are dealt out: several ranks, here in one process, write what one writes. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { runCli } from '../../src/cli/program.ts';
import { keepDevices } from '../../src/gpu/kept-devices.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { withRanks } from '../../src/runtime/ranks.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { temporaryDirectory } from '../runtime/temporary.ts';
import { localRanks } from '../support/local-ranks.ts';
import { testRuntime } from '../support/runtime.ts';
import { SMALLEST } from './job.ts';

const folder = await temporaryDirectory();
const place = (name: string) => join(folder, name);
const MODEL = ['--model', 'examples/stories260K'];

const prompts = ['Once upon a time', 'One day', 'A dog', 'Tim had', 'The sun', 'Lily', 'There was'];
writeFileSync(place('prompts.jsonl'), prompts.map((prompt) => `${JSON.stringify({ prompt })}\n`).join(''));
writeFileSync(
  place('task.yaml'),
  'prompt: "{problem}"\nstops: ["."]\nmax_new_tokens: 6\nextraction: {pattern: "(\\\\w+)"}\n',
);
writeFileSync(
  place('questions.jsonl'),
  prompts.map((problem) => `${JSON.stringify({ problem, answer: 'Lily' })}\n`).join(''),
);
const pairs = readFileSync('examples/quickstart/eval.jsonl', 'utf8').split('\n').slice(0, 20);
writeFileSync(place('pairs.jsonl'), pairs.join('\n'));

/** @returns exit code and what is said on stdout */
async function run(runtime: Runtime, args: readonly string[]): Promise<{ code: number; out: string }> {
  let out = '';
  const code = await runCli(args, {
    out: (text) => {
      out += text;
    },
    err: () => {},
    terminal: undefined,
    runtime: async () => runtime,
    exitCode: 0,
  });
  return { code, out };
}

/** Each with a device that is kept from command to command. */
const two = localRanks(2).map((ranks) => keepDevices(withRanks(nodeRuntime(), ranks)));
afterAll(() => {
  for (const runtime of two) runtime.close();
});

const runOnTwo = (args: readonly string[]) => Promise.all(two.map((runtime) => run(runtime, args)));

const text = (name: string) => readFileSync(place(name), 'utf8');

const sampling = ['--temperature', '0.8', '--max-new-tokens', '8', '--batch-size', '2'];

it.each([
  ['score', ['--data', place('pairs.jsonl'), '--objective', 'simpo']],
  ['generate', ['--prompts', place('prompts.jsonl'), ...sampling]],
  ['rollout', ['--rows', place('prompts.jsonl'), '--max-tokens', '6', '--seeds', '1,2']],
  ['evaluate', ['--task', 'custom', '--task-file', place('task.yaml'), '--data', place('questions.jsonl')]],
])('%s writes the same file', async (command, args) => {
  const args1 = [command, ...MODEL, ...args, '--out', place(`${command}-1.jsonl`)];
  const args2 = [command, ...MODEL, ...args, '--out', place(`${command}-2.jsonl`)];
  const alone = await run(testRuntime(), args1);
  expect(alone.code).toBe(0);
  expect(await runOnTwo(args2)).toEqual([alone, alone]);
  expect(text(`${command}-2.jsonl`)).toBe(text(`${command}-1.jsonl`));
  expect(text(`${command}-1.jsonl`).trim().split('\n').length).toBeGreaterThan(4);
});

it('generate goes on where one process was stopped', async () => {
  const whole = text('generate-1.jsonl');
  const args = ['generate', ...MODEL, '--prompts', place('prompts.jsonl'), ...sampling];
  const half = `${whole.split('\n').slice(0, 3).join('\n')}\n{"ind`;
  writeFileSync(place('half.jsonl'), half);
  const ends = await runOnTwo([...args, '--out', place('half.jsonl'), '--resume']);
  expect(ends.map(({ code }) => code)).toEqual([0, 0]);
  expect(text('half.jsonl')).toBe(whole);
});

it('an endpoint is asked by one process', async () => {
  const args = [
    'rollout',
    '--rows',
    place('prompts.jsonl'),
    '--endpoint',
    'http://127.0.0.1:9',
    '--endpoint-model',
    'm',
  ];
  expect((await runOnTwo([...args, '--out', place('asked.jsonl')])).map(({ code }) => code)).toEqual([2, 2]);
  expect(existsSync(place('asked.jsonl'))).toBe(false);
});

it('sweep trains one run on each', async () => {
  const grid = ['--grid', 'seed=1,2', '--set', 'training.max_steps=1', '--out', place('sweep')];
  const config = place('config.yaml');
  writeFileSync(config, stringify({ ...SMALLEST, output_dir: place('sweep') }));
  const [first, second] = await runOnTwo(['sweep', config, ...grid]);
  expect([first.code, second.code]).toEqual([0, 0]);
  for (const name of ['seed=1', 'seed=2']) {
    const record = JSON.parse(text(`sweep/${name}/run.json`));
    expect(record.outcome).toBe('finished');
  }
  expect(text('sweep/sweep.csv').trim().split('\n')).toHaveLength(3);
});

it('doctor says which device each rank takes', async () => {
  const [first] = await runOnTwo(['doctor']);
  expect(first.code).toBe(0);
  expect(first.out).toMatch(/^Rank 0: .+ on .*\nRank 1: .+ on .*\n$/);
});
