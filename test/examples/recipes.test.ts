/** The recipes say what the papers say: every value beside the place that it comes from. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/cli/config-file.ts';
import { gridRuns, readAxes } from '../../src/cli/sweep.ts';
import { INSTRUCTION_TEMPLATE } from '../../src/preferences/prompt-shape.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { cli } from '../support/run-cli.ts';

const FOLDER = 'examples/recipes';
const recipes = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));
const sweeps = readdirSync(`${FOLDER}/sweeps`);
const { files } = nodeRuntime();

/**
 * Recipe, source, learning rate, and the values of the method. RC is released code; what no paper prints is in ELSEWHERE.
 * BMC's Table 8 was compared through the configurations of its released code.
 */
const PUBLISHED: readonly (readonly [string, string, number, Readonly<Record<string, unknown>>])[] = [
  ['sft-llama3-8b', 'BMC A.3', 2e-5, {}],
  ['sft-mistral-7b', 'BMC A.3', 2e-5, {}],
  ['sft-llama2-7b-qa', 'BMC A.3', 2e-5, {}],
  ['sft-llama2-7b-maths', 'BMC A.3', 2e-5, {}],
  ['sft-qwen2.5-14b', 'BMC E', 2e-5, {}],
  ['sft-gemma2-2b-hh', 'epsilon-DPO B.2', 2e-5, {}],
  ['dpo-bmc-llama2-7b-qa', 'BMC Table 8, RC', 5e-7, { beta: 0.05, delta: 3 }],
  ['dpo-bmc-llama2-7b-maths', 'BMC Table 8, RC', 5e-7, { beta: 0.05, delta: 2.5 }],
  ['dpo-bmc-llama3-8b', 'BMC Table 8, RC', 5e-7, { beta: 0.01, delta: 1.5 }],
  ['dpo-bmc-mistral-7b', 'BMC Table 8, RC', 5e-7, { beta: 0.01, delta: 2 }],
  ['dpo-bmc-qwen2.5-14b', 'BMC E', 5e-7, { beta: 0.01, delta: 1.5 }],
  ['dpo-llama3-8b', 'BMC Table 7, A.3', 5e-7, { beta: 0.01 }],
  ['simpo-bmc-llama3-8b', 'BMC 5.4', 6e-7, { beta: 2, gamma_beta_ratio: 0.5, delta: 1.5 }],
  ['epsilon-dpo-llama3-8b', 'epsilon-DPO Table 4', 7e-7, { beta: 0.01, epsilon: 0.01 }],
  ['epsilon-dpo-mistral-7b', 'epsilon-DPO Table 4', 3e-7, { beta: 0.01, epsilon: 0.01 }],
  ['epsilon-dpo-gemma2-2b-hh', 'epsilon-DPO B.2, Table 3', 1e-6, { beta: 0.05, epsilon: 0.01 }],
  ['mipo-llama3-8b', 'MIPO Table 2', 1e-6, { beta: 25 }],
  ['mipo-mistral-7b', 'MIPO Table 2', 1e-6, { beta: 25 }],
  [
    'kto-llama3-8b',
    'no paper, but BMC A.3 besides',
    5e-7,
    { beta: 0.1, desirable_weight: 1, undesirable_weight: 1 },
  ],
];

/** Values that the paper of a recipe does not print, by where they are from. The recipe's line says the same. */
const ELSEWHERE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'sft-qwen2.5-14b': { learning_rate: 'that of the other models' },
  'dpo-bmc-qwen2.5-14b': {
    learning_rate: 'that of Llama-3-8B',
    beta: 'that of Llama-3-8B',
    delta: 'that of Llama-3-8B',
  },
  'dpo-llama3-8b': { learning_rate: 'one of those searched', beta: 'one of those searched' },
  'simpo-bmc-llama3-8b': {
    learning_rate: "SimPO's released code",
    beta: "SimPO's released code",
    gamma_beta_ratio: "SimPO's released code",
    delta: 'that of DPO-BMC',
  },
  'epsilon-dpo-llama3-8b': { learning_rate: 'its released code' },
  'epsilon-dpo-mistral-7b': { learning_rate: 'its released code' },
  'mipo-mistral-7b': { learning_rate: 'the best is printed for the other model' },
  'kto-llama3-8b': {
    learning_rate: "that of BMC's other methods",
    beta: "TRL's default",
    desirable_weight: "TRL's default",
    undesirable_weight: "TRL's default",
  },
};

/** Sweep, source, and its values but for the learning rate. */
const SEARCHED: readonly (readonly [string, string, Readonly<Record<string, readonly number[]>>])[] = [
  ['dpo', 'BMC Table 7', { 'objective.settings.beta': [0.01, 0.05, 0.1] }],
  ['ipo', 'BMC Table 7', { 'objective.settings.tau': [0.01, 0.1, 0.5, 1] }],
  ['orpo', 'BMC Table 7', { 'objective.settings.beta': [0.1, 0.5, 1, 2] }],
  [
    'rdpo',
    'BMC Table 7',
    { 'objective.settings.alpha': [0.05, 0.1, 0.5, 1], 'objective.settings.beta': [0.01, 0.05, 0.1] },
  ],
  [
    'figa',
    'BMC Table 7',
    { 'objective.settings.alpha': [0.5, 1, 1.5], 'objective.settings.beta': [0.5, 1, 1.5] },
  ],
  [
    'dpo-bmc',
    'BMC Table 7',
    {
      'objective.settings.beta': [0.01, 0.05, 0.1],
      'objective.token_weights.settings.delta': [1.5, 2, 2.5, 3, 3.5],
    },
  ],
  ['epsilon-dpo', 'epsilon-DPO Table 4', { 'objective.settings.epsilon': [0.005, 0.01, 0.02] }],
];

describe('the recipes', () => {
  it('are those of the table, and LoRA variants of some', () => {
    const whole = recipes
      .filter((name) => !name.endsWith('-lora.yaml'))
      .map((name) => name.replace('.yaml', ''));
    expect(whole.sort()).toEqual(PUBLISHED.map(([name]) => name).sort());
  });

  it.each(PUBLISHED)('%s has the values of %s', async (name, _, rate, values) => {
    const { config } = await loadConfig(files, `${FOLDER}/${name}.yaml`);
    const { training, objective, lora, data } = config;
    expect(training.learning_rate).toBe(rate);
    expect({ ...objective.settings, ...objective.token_weights?.settings }).toEqual(values);
    expect(lora).toBeUndefined();
    expect(training).toMatchObject({
      lr_scheduler_type: 'cosine',
      warmup_ratio: 0.1,
      weight_decay: 0,
      optim: 'adamw',
    });
    expect(training.per_device_train_batch_size * training.gradient_accumulation_steps).toBe(128);
    expect(training.num_train_epochs).toBe(name === 'sft-llama2-7b-maths' ? 2 : 1);
    expect(data.max_length).toBe(name === 'mipo-mistral-7b' ? 1024 : 2048);
    // The others' prompts are conversations, or in the template already.
    expect(data.prompt_template).toBe(name === 'sft-llama2-7b-maths' ? INSTRUCTION_TEMPLATE : undefined);
  });

  it.each(PUBLISHED.map(([name]) => name))('%s marks exactly what its paper does not print', (name) => {
    const marks = (file: string) => {
      const lines = readFileSync(`${FOLDER}/${file}.yaml`, 'utf8').matchAll(
        /^ +(\w+): \S+ # not in the paper: (.+)$/gm,
      );
      return Object.fromEntries([...lines].map(([, key, from]) => [key, from]));
    };
    const expected = Object.fromEntries(
      Object.entries(ELSEWHERE[name] ?? {}).map(([key, from]) => [key, expect.stringContaining(from)]),
    );
    expect(marks(name)).toEqual(expected);
    if (!recipes.includes(`${name}-lora.yaml`)) return;
    // The rate of the variant is ours.
    const { learning_rate: _, ...others } = expected;
    expect(marks(`${name}-lora`)).toEqual(others);
  });

  it.each(recipes.filter((name) => name.endsWith('-lora.yaml')))(
    '%s differs in the adapter and its rate alone',
    async (name) => {
      const [own, published] = await Promise.all(
        [name, name.replace('-lora', '')].map(
          async (file) => (await loadConfig(files, join(FOLDER, file))).config,
        ),
      );
      const { learning_rate: rate, ...training } = own.training;
      const { learning_rate: lower, ...others } = published.training;
      expect(rate).toBeGreaterThanOrEqual(10 * lower);
      expect({ ...own, training, lora: undefined, output_dir: '' }).toEqual({
        ...published,
        training: others,
        output_dir: '',
      });
      expect(own.lora).toBeDefined();
      expect(readFileSync(join(FOLDER, name), 'utf8')).toContain('A variant of ours');
    },
  );

  it.each(recipes)(
    '%s begins with its launch line and is valid, once model and data are at hand',
    async (name) => {
      const path = join(FOLDER, name);
      expect(readFileSync(path, 'utf8')).toContain(`#   prefgrad train ${path}\n`);
      const { config } = await loadConfig(files, path);
      const local = ['model.path=examples/stories260K', 'data.train=examples/quickstart/train.jsonl'];
      const set = [
        ...local,
        'data.max_rows=4',
        'data.columns={}',
        'data.format=auto',
        'data.max_length=512',
        'output_dir=/nowhere/at-all',
      ];
      if (config.data.eval !== undefined) set.push('data.eval=examples/quickstart/eval.jsonl');
      if (config.data.max_prompt_length !== undefined) set.push('data.max_prompt_length=256');
      const { code, stderr } = await cli('validate', path, ...set.flatMap((value) => ['--set', value]));
      expect(code, stderr).toBe(0);
    },
  );
});

describe('the search ranges', () => {
  it.each(SEARCHED)('%s has those of %s', async (name, _, ranges) => {
    const { 'training.learning_rate': __, ...rest } = parse(
      readFileSync(`${FOLDER}/sweeps/${name}.yaml`, 'utf8'),
    );
    expect(rest).toEqual(ranges);
  });

  it.each([2, 2.5])('SimPO at beta %d has the gammas of BMC Table 7', (beta) => {
    const grid = parse(readFileSync(`${FOLDER}/sweeps/simpo-beta-${beta.toFixed(1)}.yaml`, 'utf8'));
    expect(grid['objective.settings.beta']).toEqual([beta]);
    const gammas = grid['objective.settings.gamma_beta_ratio'].map((ratio: number) =>
      Number((ratio * beta).toFixed(6)),
    );
    expect(gammas).toEqual([0.3, 0.5, 1, 1.2, 1.4, 1.6]);
  });

  it.each(sweeps)('%s is a grid of valid runs', async (name) => {
    const path = `${FOLDER}/sweeps/${name}`;
    // 'objective=NAME', or with settings in quotes.
    const [, set = ''] = /--set (objective='[^']*'|\S+)/.exec(readFileSync(path, 'utf8')) ?? [];
    const runs = gridRuns(await readAxes(files, path), 'out');
    expect(new Set(runs.map((run) => run.name)).size).toBe(runs.length);
    const [first, last] = [runs[0], runs[runs.length - 1]];
    for (const run of [first, last])
      await loadConfig(files, `${FOLDER}/dpo-llama3-8b.yaml`, [set.replaceAll("'", ''), ...run.set]);
  });
});
