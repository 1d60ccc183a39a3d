/** The papers' pipelines from prompts to trained models, through a server process, on the model of the examples. */
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

/** A checkpoint in the layout of Hugging Face: the examples' model, and a second shard with the head of a reward model. */
function rewardModel(): string {
  const weight = new Float32Array(64).map((_, i) => Math.sin(i));
  const header = `{"score.weight":{"dtype":"F32","shape":[1,64],"data_offsets":[0,256]}}`.padEnd(80);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(80n);
  mkdirSync(path('reward'));
  writeFileSync(
    path('reward/head.safetensors'),
    Buffer.concat([length, Buffer.from(header), Buffer.from(weight.buffer)]),
  );
  for (const name of ['model.safetensors', 'tokenizer.json', 'tokenizer_config.json'])
    copyFileSync(
      `${STORIES}/${name}`,
      path(`reward/${name === 'model.safetensors' ? 'layers.safetensors' : name}`),
    );
  const layers = readFileSync(path('reward/layers.safetensors'));
  const names = Object.keys(JSON.parse(layers.subarray(8, 8 + Number(layers.readBigUInt64LE())).toString()));
  const where = names.filter((name) => name !== '__metadata__').map((name) => [name, 'layers.safetensors']);
  const index = { weight_map: { ...Object.fromEntries(where), 'score.weight': 'head.safetensors' } };
  writeFileSync(path('reward/model.safetensors.index.json'), JSON.stringify(index));
  const config = JSON.parse(readFileSync(`${STORIES}/config.json`, 'utf8')) as Record<string, unknown>;
  const changed = { ...config, architectures: ['LlamaForSequenceClassification'], num_labels: 1 };
  writeFileSync(path('reward/config.json'), JSON.stringify(changed));
  return path('reward');
}

describe('on this machine', () => {
  it('rates by a reward model', async () => {
    const rater = ['--rater', `reward:${rewardModel()}`];
    await done('rate', '--rows', path('rolled.jsonl'), '--out', path('by-reward.jsonl'), ...rater);
    const rows = rowsOf('by-reward.jsonl');
    expect(rows).toHaveLength(3);
    for (const { all_rm_scores: scores, all_generated_responses: answers, chosen } of rows) {
      const best = Math.max(...(scores as number[]));
      expect(chosen).toBe((answers as string[])[(scores as number[]).indexOf(best)]);
    }
  });

  it('compares answers by mean hidden states', async () => {
    const edit = ['--editor', `exact:${path('edit.mjs')}`, '--embeddings', STORIES];
    await done('bridge', '--rows', path('own.jsonl'), '--out', path('alike.jsonl'), ...edit);
    const { summary } = JSON.parse(readFileSync(path('alike.jsonl.report.json'), 'utf8'));
    expect(summary.mean_similarity_rejected).toBeGreaterThan(summary.mean_similarity_chosen);
    expect(summary.mean_similarity_rejected).toBeLessThan(1);
    const settings = JSON.parse(readFileSync(path('alike.jsonl.settings.json'), 'utf8'));
    expect(settings.similarity).toBe(`cosine of mean last hidden states of ${STORIES}`);
  });

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
