/** From names on the hub to a model on disk: Parquet of UltraFeedback's form, a base model, a chat template of one's own. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runCli } from '../../src/cli/program.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { type HubServer, serveHub } from '../support/hub-server.ts';
import { parquetOf } from '../support/parquet.ts';

const MODEL = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
const TEMPLATE =
  "{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}";
const folder = mkdtempSync(join(tmpdir(), 'prefgrad-hub-'));
const message = (role: string, content: string) => ({ content, role });
const row = (i: number, rejected = 'a dog.') => {
  const prompt = `Once upon a time, number ${i}`;
  const [ask, good, bad] = [
    message('user', prompt),
    message('assistant', 'a cat.'),
    message('assistant', rejected),
  ];
  return { prompt, prompt_id: `p${i}`, chosen: [ask, good], rejected: [ask, bad], score_chosen: 8.5 };
};

let hub: HubServer;
beforeAll(async () => {
  const rows = [...Array.from({ length: 12 }, (_, i) => row(i)), row(12, 'a cat.'), row(13, ' ')];
  hub = await serveHub({
    'models/acme/stories': Object.fromEntries(
      MODEL.map((name) => [name, readFileSync(`examples/stories260K/${name}`)]),
    ),
    'datasets/acme/feedback': {
      'data/train_prefs-00000-of-00001.parquet': await parquetOf(rows, { codec: 'zstd' }),
      'data/train_sft-00000-of-00001.parquet': await parquetOf([{ prompt: 'x' }]),
    },
  });
  vi.stubEnv('HF_ENDPOINT', hub.endpoint);
  vi.stubEnv('HF_HUB_CACHE', join(folder, 'hub'));
  vi.stubEnv('HF_HUB_OFFLINE', '');
  vi.stubEnv('HF_TOKEN', '');
  writeFileSync(join(folder, 'chat.jinja'), TEMPLATE);
  writeFileSync(
    join(folder, 'run.yaml'),
    `model: {path: hf:acme/stories}
lora: {r: 2}
objective: dpo
data:
  train: hf:acme/feedback:train_prefs
  eval_fraction: 0.25
  chat_template: ${folder}/chat.jinja
  max_length: 64
  on_bad_row: skip
training: {max_steps: 1, per_device_train_batch_size: 2}
output_dir: ${folder}/out
`,
  );
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  rmSync(folder, { recursive: true, force: true });
});

async function run(...args: string[]) {
  const said = { stdout: '', stderr: '', notes: '' };
  const code = await runCli(args, {
    out: (text) => {
      said.stdout += text;
    },
    err: (text) => {
      said.stderr += text;
    },
    terminal: undefined,
    runtime: async () =>
      nodeRuntime((text) => {
        said.notes += `${text}\n`;
      }),
    exitCode: 0,
  });
  return { code, ...said };
}

const config = join(folder, 'run.yaml');

describe('a run whose model and data are on the hub', () => {
  it('is validated: the form is recognised, and what is skipped counted', async () => {
    const { code, stdout, stderr, notes } = await run('validate', config);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(
      /train data: hf:acme\/feedback:train_prefs: 14 rows read as ultrafeedback.*1 with identical answers.*1 skipped as wrong; 12 kept/,
    );
    expect(notes).toContain('Downloading hf:acme/stories/model.safetensors (');
  });

  it('is previewed: form, template, tokens, what is cut and what is left out', async () => {
    const args = ['--rows', '14', '--set', 'data.max_prompt_length=20'];
    const { code, stdout, stderr } = await run('preview', config, ...args);
    expect(code, stderr).toBe(0);
    const file = 'hf:datasets/acme/feedback/data/train_prefs-00000-of-00001.parquet';
    expect(stdout).toContain(`${file}:1: ultrafeedback, chat template ${folder}/chat.jinja\n`);
    expect(stdout).toMatch(/prompt, 20 tokens, no loss, \d+ cut off its start\n/);
    expect(stdout).toMatch(/chosen, \d+ tokens, all in the loss, \d+ marked \* differ/);
    expect(stdout).toContain(`left out: ${file}:13: both answers are the same tokens`);
    expect(stdout).toMatch(/left out: .*:14: field 'rejected' is an empty answer/);
  });

  it('trains; the template is saved with the adapter, the rows left out are listed', async () => {
    const { code, stderr } = await run('train', config);
    expect(code, stderr).toBe(0);
    expect(readFileSync(join(folder, 'out/model/chat_template.jinja'), 'utf8')).toBe(TEMPLATE);
    const tokenizer = JSON.parse(readFileSync(join(folder, 'out/model/tokenizer_config.json'), 'utf8'));
    expect(tokenizer.chat_template).toBe(TEMPLATE);
    const dropped = readFileSync(join(folder, 'out/dropped_rows.jsonl'), 'utf8').trim().split('\n');
    expect(dropped.map((line) => JSON.parse(line).line)).toEqual([13, 14]);
    const metrics = readFileSync(join(folder, 'out/metrics.jsonl'), 'utf8');
    expect(metrics).toContain('eval_loss');
    expect(existsSync(join(folder, 'out/model/adapter_model.safetensors'))).toBe(true);
  });

  it('reads the cache alone the next time, and says what it lacks', async () => {
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    expect((await run('validate', config, '--resume')).code).toBe(0);
    const { code, stderr } = await run('validate', config, '--resume', '--set', 'model.path=hf:acme/other');
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /model\.path: hf:acme\/other: is not in the hub's cache, and HF_HUB_OFFLINE is set/,
    );
    vi.stubEnv('HF_HUB_OFFLINE', '');
  });

  it('refuses a split that is not there', async () => {
    const { code, stderr } = await run(
      'validate',
      config,
      '--resume',
      '--set',
      'data.train=hf:acme/feedback:test',
    );
    expect(code).toBe(2);
    expect(stderr).toMatch(/there is no such split; it has .*train_prefs-00000-of-00001\.parquet/);
  });
});
