/** `prefgrad init` writes what `validate` accepts, and `prefgrad compare` reads what runs leave. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/cli/config-file.ts';
import { objectives } from '../../src/objectives/registry.ts';
import { cli } from '../support/run-cli.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'prefgrad-init-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const configOf = (file: string) => parseConfig(readFileSync(file, 'utf8'), file).config;

describe('init', () => {
  it.each(objectives)('$name: its settings with their defaults', async ({ name, bind }) => {
    const out = join(folder, `${name}.yaml`);
    expect(await cli('init', name, '--out', out)).toMatchObject({ code: 0, stdout: `${out}\n` });
    const { objective, lora } = configOf(out);
    expect(bind(objective.settings)).toMatchObject({ name });
    expect(lora).toBeUndefined();
  });

  it('writes a run that can start: model, data, adapter and token weights as they were given', async () => {
    const out = join(folder, 'full.yaml');
    const given = ['--model', 'examples/stories260K', '--data', 'examples/quickstart/train.jsonl'];
    const more = ['--eval', 'examples/quickstart/eval.jsonl', '--lora', '--token-weights', 'bmc'];
    const { stderr } = await cli('init', 'DPO', ...given, ...more, '--out', out);
    expect(stderr).toBe(`Then: prefgrad validate ${out}\n`);
    const config = configOf(out);
    expect(config).toMatchObject({
      model: { path: 'examples/stories260K' },
      lora: { r: 16 },
      objective: { name: 'dpo', token_weights: { name: 'bmc' } },
      data: { max_length: 512, eval: 'examples/quickstart/eval.jsonl' },
      training: { learning_rate: 5e-5 },
      output_dir: 'runs/dpo-bmc-lora',
    });
    expect((await cli('validate', out)).stderr).toBe('');
  });

  it('gives an adapter a rate of its own, and SFT another than a preference method', async () => {
    const rates: Record<string, number> = {};
    for (const args of [['sft'], ['sft', '--lora'], ['dpo'], ['dpo', '--lora']]) {
      const out = join(folder, `rate-${args.join('')}.yaml`);
      await cli('init', ...args, '--out', out);
      rates[args.join(' ')] = configOf(out).training.learning_rate;
    }
    expect(rates).toEqual({ sft: 2e-5, 'sft --lora': 2e-4, dpo: 1e-6, 'dpo --lora': 5e-5 });
  });

  it('says what is to be filled in', async () => {
    const { stderr } = await cli('init', 'ipo', '--out', join(folder, 'bare.yaml'));
    expect(stderr).toContain('Fill in model.path and data.train.');
  });

  it.each([
    ['a method that there is not', ['dpoo'], 'did you mean dpo?'],
    ['token weights where none are taken', ['kto', '--token-weights', 'bmc'], 'kto takes no token weights'],
    ['a file that is there', ['dpo', '--out', 'package.json'], 'package.json: is there already'],
  ])('refuses %s', async (_, args, message) => {
    const { code, stderr } = await cli('init', ...args);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});

describe('compare', () => {
  const run = (name: string, beta: number, margin: number) => {
    const directory = join(folder, name);
    mkdirSync(directory);
    const lines = [
      { step: 0, eval_loss: 0.69 },
      { step: 10, loss: 0.6, 'rewards/margins': 0.1 },
      { step: 20, loss: 0.5, 'rewards/margins': margin },
      { step: 20, eval_loss: 0.55, 'eval_rewards/margins': margin / 2 },
    ];
    writeFileSync(
      join(directory, 'metrics.jsonl'),
      lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
    );
    const config = `# device: lavapipe\nobjective:\n  name: dpo\n  settings: {beta: ${beta}}\noutput_dir: ${name}\n`;
    writeFileSync(join(directory, 'config.yaml'), config);
    writeFileSync(join(directory, 'run.json'), JSON.stringify({ wall_time_seconds: 3, global_step: 20 }));
    return directory;
  };
  let low = '';
  let high = '';
  beforeAll(() => {
    low = run('low', 0.1, 0.4);
    high = run('high', 0.5, 0.9);
  });

  it('shows the last evaluation, the last line of training, and the keys that differ', async () => {
    const { stdout } = await cli('compare', low, high);
    expect(stdout.split('\n').map((line) => line.replaceAll(/ {2,}/g, ' ').trim())).toEqual([
      'low high',
      '',
      'outcome',
      'steps 20 20',
      'seconds 3 3',
      'device lavapipe lavapipe',
      '',
      'last evaluation, on held-out rows',
      'eval_loss 0.55 0.55',
      'eval_rewards/margins 0.2 0.45',
      '',
      'last line of training, means over its steps',
      'loss 0.5 0.5',
      'rewards/margins 0.4 0.9',
      '',
      'keys in which the configurations differ',
      'objective.settings.beta 0.1 0.5',
      '',
    ]);
  });

  it('gives rows as JSON and as CSV', async () => {
    const rows = (await cli('compare', `a=${low}`, `b=${high}`, '--json')).stdout.trim().split('\n');
    expect(JSON.parse(rows[rows.length - 1])).toEqual({
      kind: 'config',
      key: 'objective.settings.beta',
      values: { a: 0.1, b: 0.5 },
    });
    expect((await cli('compare', low, high, '--csv')).stdout).toContain(
      'kind,key,low,high\noutcome,steps,20,20\n',
    );
  });

  it('has the metrics of a run that has not ended', async () => {
    rmSync(join(high, 'run.json'));
    const { code, stdout } = await cli('compare', low, high);
    expect(code).toBe(0);
    expect(stdout).toMatch(/steps +20 +–\n/);
    expect(stdout).toMatch(/rewards\/margins +0\.4 +0\.9/);
  });

  it.each([
    ['one run', () => [low], 'Give two runs or more'],
    ['the same name twice', () => [low, `low=${high}`], 'Two runs are named low'],
    ['a directory without a run', () => [low, 'src'], 'there is no metrics.jsonl'],
  ])('refuses %s', async (_, args, message) => {
    const { code, stderr } = await cli('compare', ...args());
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});
