/**
 * The examples of the help texts, typed as they stand in a directory that has the files they name, with small settings added.
 * What leads elsewhere stays here: the endpoint is one of the test's own, and so is the hub.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildProgram } from '../../src/cli/program.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { type HubServer, serveHub } from '../support/hub-server.ts';
import { type LlmServer, llmServer } from '../support/llm-server.ts';
import { cli } from '../support/run-cli.ts';
import { helpCommands, prefgradWords } from './pages.ts';

/** What cannot end here, or not soon, and the test that runs it. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'prefgrad view': 'test/cli/view.test.ts',
  'prefgrad serve': 'test/cli/serve.test.ts',
  'prefgrad doctor --tune': 'test/cli/doctor-tune.test.ts',
  'prefgrad rate --rows rollouts.jsonl --rater command:': 'test/preferences/answer-commands.test.ts',
};

const TRAINED =
  '--set training.max_steps=1 --set data.max_rows=4 --set data.max_length=256 --set training.per_device_train_batch_size=2';
/** What is added to a command so that it ends within seconds. */
const SMALLER: Readonly<Record<string, string>> = {
  train: TRAINED,
  sweep: `${TRAINED} --set model.path=base --set data.train=pairs.jsonl --set data.eval=pairs.jsonl --set data.max_prompt_length=128`,
  generate: '--max-new-tokens 4',
  score: '--max-rows 4',
  rollout: '--max-tokens 8 --cache answers',
  'own-output': '--max-tokens 8 --cache answers',
  continue: '--max-tokens 8 --cache answers',
  rate: '--cache answers',
  bridge: '--cache answers',
  weigh: '--cache answers',
};

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-help-'));
const home = process.cwd();
/** What every example finds. */
const WHOLE = join(folder, 'whole');
const HERE = join(folder, 'here');
const { HF_ENDPOINT, HF_HUB_CACHE, XDG_CACHE_HOME } = process.env;
let endpoint: LlmServer;
let hub: HubServer;

const lines = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/** An editor, a judge and a writer in one. */
function answer(text: string, count: number): string {
  if (text.includes('copied exactly')) return '```json\n[]\n```';
  if (text.includes('# Answer A')) return '[[A]]';
  if (text.includes("# Student's solution")) return '<edited>\nIt rained all day.\n</edited>';
  return ` the cat number ${count}`;
}

beforeAll(async () => {
  endpoint = await llmServer(({ body }, _, count) => {
    const { messages, prompt } = body as { messages?: { content: string }[]; prompt?: unknown };
    return answer(messages?.at(-1)?.content ?? String(prompt), count);
  });
  const quickstart = (name: string, count: number) =>
    readFileSync(`examples/quickstart/${name}.jsonl`, 'utf8').split('\n').slice(0, count);
  const test = `${quickstart('eval', 4).join('\n')}\n`;
  hub = await serveHub({ 'datasets/OWNER/NAME': { 'test.jsonl': test } });
  process.env.HF_ENDPOINT = hub.endpoint;
  process.env.HF_HUB_CACHE = join(folder, 'hub');

  mkdirSync(WHOLE);
  symlinkSync(resolve('examples'), join(WHOLE, 'examples'));
  process.chdir(WHOLE);
  mkdirSync('models');
  for (const name of ['base', 'models/Qwen2.5-0.5B-Instruct', 'models/Llama-3-8B'])
    cpSync('examples/stories260K', name, { recursive: true });
  const pairs = quickstart('train', 20);
  writeFileSync('pairs.jsonl', `${pairs.join('\n')}\n`);
  writeFileSync('prompts.jsonl', lines([1, 2, 3].map((n) => ({ prompt: `Once upon a time, cat ${n}` }))));
  writeFileSync('rollouts.jsonl', lines([{ prompt: 'Once', all_generated_responses: [' a', ' b c', ' d'] }]));
  writeFileSync('ecqa.jsonl', lines([1, 2].map((n) => ({ problem: `${n} + 1?`, solution: `${n + 1}` }))));
  writeFileSync(
    'bridged.jsonl',
    lines(pairs.map((row) => ({ ...JSON.parse(row), chosen_bridged: ' It rained.' }))),
  );
  writeFileSync('gpt.yaml', `base_url: ${endpoint.url}\nmodel: x\nprices: {input: 1, output: 2}\n`);
  const answers = [0, 1, 2].map((n) => ({ gold: `#### ${n}`, prediction: `The answer is ${n % 2}.` }));
  writeFileSync('vllm.jsonl', lines(answers));
  writeFileSync(
    'gsm8k_test.jsonl',
    lines([1, 2].map((n) => ({ question: `${n} + 1?`, answer: `#### ${n + 1}` }))),
  );
  const judged = [1, 1.5, 2].map((preference) => ({ output_1: 'a cat', output_2: 'a dog sat', preference }));
  writeFileSync('annotations.json', JSON.stringify(judged));
  cpSync(join(home, 'test/fixtures/golden/golden.json'), 'golden.json');
  const config = (objective: string) =>
    `model: {path: base}\nobjective: ${objective}\ndata: {train: pairs.jsonl, eval: pairs.jsonl, max_length: 256}\n` +
    `training: {eval_steps: 1}\noutput_dir: runs/${objective}-of-help\n`;
  for (const [file, objective] of [
    ['mipo', 'mipo'],
    ['my', 'dpo'],
  ])
    writeFileSync(`${file}.yaml`, config(objective));
  const withoutEval = config('dpo')
    .replace(', eval: pairs.jsonl', '')
    .replace('training: {eval_steps: 1}\n', '');
  writeFileSync('dpo-bmc.yaml', withoutEval);

  // Runs, scores and graded answers that examples begin with.
  const runs: [directory: string, more: string][] = [
    ['runs/dpo', '--set reference.mode=in_step'],
    ['runs/sft', '--set objective=sft --set lora.r=2'],
  ];
  for (const [directory, more] of runs) await succeeds(`train my.yaml --set output_dir=${directory} ${more}`);
  for (const name of ['runs/dpo-bmc', 'runs/dpo-2']) cpSync('runs/dpo', name, { recursive: true });
  await succeeds(
    'score --model runs/dpo/model --reference base --data pairs.jsonl --objective dpo --out dpo.scores.jsonl',
  );
  cpSync('dpo.scores.jsonl', 'bmc.scores.jsonl');
  await succeeds('evaluate --task gsm8k --predictions vllm.jsonl --out sft.jsonl');
  cpSync('sft.jsonl', 'dpo.jsonl');
});

afterAll(async () => {
  process.chdir(home);
  for (const [name, value] of Object.entries({ HF_ENDPOINT, HF_HUB_CACHE, XDG_CACHE_HOME }))
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  await endpoint.close();
  await hub.close();
  rmSync(folder, { recursive: true, force: true });
});

async function succeeds(line: string): Promise<void> {
  const small = SMALLER[line.split(' ')[0]] ?? '';
  const { code, stderr } = await cli(...`${line} ${small}`.split(' ').filter((word) => word !== ''));
  expect(code, `${line}\n${stderr}`).toBe(0);
}

const examples = helpCommands(
  buildProgram({
    out: () => {},
    err: () => {},
    terminal: undefined,
    runtime: async () => nodeRuntime(),
    exitCode: 0,
  }),
);
const isElsewhere = (text: string) => Object.keys(ELSEWHERE).some((start) => text.startsWith(start));

describe('the examples of help texts', () => {
  it('are all run, but for those that other tests run', () => {
    for (const start of Object.keys(ELSEWHERE))
      expect(examples.filter(({ text }) => text.startsWith(start)).length, start).toBeGreaterThan(0);
    for (const test of Object.values(ELSEWHERE)) expect(() => readFileSync(join(home, test))).not.toThrow();
  });

  it.each(examples.filter(({ text }) => !isElsewhere(text)))('$where: $text', async (command) => {
    const words = prefgradWords(command) ?? [];
    const given = words.map((word) => word.replace('http://127.0.0.1:8000/v1', endpoint.url));
    // One that goes on does so after the one before it.
    if (!given.includes('--resume')) {
      process.chdir(home);
      rmSync(HERE, { recursive: true, force: true });
      cpSync(WHOLE, HERE, { recursive: true });
    }
    process.chdir(HERE);
    // Nothing is where an output goes.
    const out = given.indexOf('--out');
    if (out >= 0 && !given.includes('--resume')) rmSync(given[out + 1], { recursive: true, force: true });
    if (given[0] === 'cache') process.env.XDG_CACHE_HOME = join(folder, 'user-cache');
    const { code, stderr } = await cli(...given, ...(SMALLER[given[0]] ?? '').split(' ').filter(Boolean));
    expect(code, stderr).toBe(0);
  });
});
