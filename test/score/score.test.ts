/** `prefgrad score`: its lines are what training logs, token by token, and its memory does not grow with the file. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/program.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { trainConfigFrom } from '../../src/train/config.ts';
import type { TrainHooks } from '../../src/train/hooks.ts';
import { train } from '../../src/train/train.ts';
import { expectClose } from '../support/close.ts';

const BASE = 'examples/stories260K';
const folder = mkdtempSync(join(tmpdir(), 'prefgrad-score-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Side {
  readonly token_ids: number[];
  readonly tokens: string[];
  readonly logps: number[];
  readonly ref_logps?: number[];
  readonly diff: number[];
  readonly weights?: number[];
  readonly rewards?: number[];
  readonly contributions?: number[];
}

interface Line {
  readonly prompt: { readonly token_ids: number[] };
  readonly chosen: Side;
  readonly rejected: Side;
  readonly margin?: number;
}

const hooks: TrainHooks = {
  note() {},
  start() {},
  step() {},
  evaluated() {},
  checkpoint() {},
  shouldStop: () => false,
  finish() {},
};

const rows = readFileSync('examples/quickstart/eval.jsonl', 'utf8').trim().split('\n').slice(0, 20);
const data = join(folder, 'rows.jsonl');
let logged: Record<string, number>;

beforeAll(async () => {
  writeFileSync(data, rows.join('\n'));
  const config = trainConfigFrom({
    model: { path: BASE },
    objective: { name: 'dpo', settings: { beta: 0.5 }, bmc: { delta: 2 } },
    data: { train: 'examples/quickstart/train.jsonl', eval: data, max_length: 256, max_rows: 20 },
    training: { learning_rate: 3e-4, max_steps: 2, per_device_train_batch_size: 8 },
    output_dir: join(folder, 'run'),
  });
  const summary = await train(nodeRuntime(), config, hooks);
  logged = { ...summary.after };
});

async function score(...args: string[]): Promise<Line[]> {
  const out = join(folder, 'scores.jsonl');
  let stderr = '';
  const code = await runCli(
    ['score', '--model', join(folder, 'run/model'), '--data', data, '--out', out, ...args],
    {
      out() {},
      err: (text) => {
        stderr += text;
      },
      terminal: undefined,
      runtime: async () => nodeRuntime(),
      exitCode: 0,
    },
  );
  expect(code, stderr).toBe(0);
  return readFileSync(out, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

const sum = (values: readonly number[] = []) => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;

describe('score with a reference, a method and BMC weights', () => {
  let lines: Line[];
  beforeAll(async () => {
    lines = await score('--reference', BASE, '--objective', 'dpo', '--settings', 'beta=0.5', '--bmc');
  });

  it('has a line for every row, in order, that covers the answers with their EOS', () => {
    expect(lines).toHaveLength(rows.length);
    for (const { chosen, rejected } of lines) {
      for (const side of [chosen, rejected]) {
        expect(side.token_ids.at(-1)).toBe(2);
        for (const values of Object.values(side)) expect(values).toHaveLength(side.token_ids.length);
      }
    }
  });

  it('adds up, token by token, to the rewards that training logs', () => {
    const rewards = (side: 'chosen' | 'rejected') => mean(lines.map((l) => sum(l[side].contributions)));
    expectClose([rewards('chosen')], [logged['eval_rewards/chosen']], 1e-4, 'rewards/chosen');
    expectClose([rewards('rejected')], [logged['eval_rewards/rejected']], 1e-4, 'rewards/rejected');
    const accuracy = mean(
      lines.map((l) => Number(sum(l.chosen.contributions) > sum(l.rejected.contributions))),
    );
    expectClose([accuracy], [logged['eval_rewards/accuracies']], 1e-6, 'rewards/accuracies');
    const logps = mean(lines.map((l) => sum(l.chosen.logps)));
    expectClose([logps], [logged['eval_logps/chosen']], 1e-5, 'logps/chosen');
  });

  it('gives unweighted rewards, lambda on the varied tokens, and their product as contributions', () => {
    for (const { chosen, rejected, margin } of lines) {
      for (const { logps, ref_logps = [], rewards = [], weights = [], diff, contributions = [] } of [
        chosen,
        rejected,
      ]) {
        const expected = logps.map((p, t) => 0.5 * (p - ref_logps[t]));
        expectClose(rewards, expected, 1e-5, 'rewards');
        const lambda = logps.map((p, t) => (diff[t] === 1 ? 1 + Math.min(1 / Math.exp(p), 2) : 1));
        expectClose(weights, lambda, 1e-5, 'weights');
        expectClose(
          contributions,
          expected.map((r, t) => r * lambda[t]),
          1e-5,
          'contributions',
        );
      }
      expectClose([margin ?? Number.NaN], [sum(chosen.rewards) - sum(rejected.rewards)], 1e-4, 'margin');
    }
  });
});

describe('score of a PEFT adapter', () => {
  it('has the log-probs that training logs, and other ones than its base', async () => {
    const config = trainConfigFrom({
      model: { path: BASE },
      lora: { r: 4 },
      objective: 'simpo',
      data: { train: 'examples/quickstart/train.jsonl', eval: data, max_length: 256, max_rows: 20 },
      training: { learning_rate: 1e-2, max_steps: 2, warmup_ratio: 0, per_device_train_batch_size: 8 },
      output_dir: join(folder, 'lora'),
    });
    const { before, after } = await train(nodeRuntime(), config, hooks);
    const model = join(folder, 'lora/model');
    for (const option of ['--adapter', '--adapter-dir']) {
      const lines = await score('--model', BASE, option, model);
      const logps = mean(lines.map((l) => sum(l.chosen.logps)));
      expectClose([logps], [after?.['eval_logps/chosen'] ?? Number.NaN], 1e-5, 'logps/chosen');
      expect(Math.abs(logps - (before?.['eval_logps/chosen'] ?? Number.NaN))).toBeGreaterThan(1e-2);
    }
  });
});

describe('score without them', () => {
  it('gives log-probs and differences alone', async () => {
    const [line] = await score();
    expect(Object.keys(line)).toEqual(['prompt', 'chosen', 'rejected']);
    expect(Object.keys(line.chosen)).toEqual(['token_ids', 'tokens', 'logps', 'diff']);
  });
});

describe('token weights in the rows', () => {
  const weighted = join(folder, 'weighted.jsonl');
  const score = async (...options: string[]) => {
    const out = join(folder, 'weighted-out.jsonl');
    let stderr = '';
    const code = await runCli(
      [
        'score',
        '--model',
        BASE,
        '--reference',
        'web/public/models/dpo',
        '--data',
        weighted,
        '--out',
        out,
        ...options,
      ],
      {
        out() {},
        err: (text) => {
          stderr += text;
        },
        terminal: undefined,
        runtime: async () => nodeRuntime(),
        exitCode: 0,
      },
    );
    return { code, stderr, line: () => JSON.parse(readFileSync(out, 'utf8').split('\n')[0]) as Line };
  };

  it('count in the contributions of a method that takes them', async () => {
    const weights = [{ start: 0, end: 2, weight: 3 }];
    writeFileSync(weighted, JSON.stringify({ ...JSON.parse(rows[0]), chosen_weights: weights }));
    const { code, line } = await score('--objective', 'dpo');
    expect(code).toBe(0);
    const { chosen, rejected } = line();
    const rewards = (side: Side) => side.rewards ?? [];
    expect(chosen.contributions?.[0]).toBeCloseTo(3 * rewards(chosen)[0], 6);
    expectClose(chosen.contributions?.slice(4) ?? [], rewards(chosen).slice(4), 1e-6, 'unweighted tokens');
    expectClose(rejected.contributions ?? [], rewards(rejected), 1e-6, 'the other answer');
  });

  it('are refused where they would be passed over', async () => {
    for (const [options, refusing] of [
      [['--objective', 'mipo'], 'mipo'],
      [['--objective', 'dpo', '--bmc'], "dpo with BMC's weights"],
    ] as const) {
      const { code, stderr } = await score(...options);
      expect(code).toBe(2);
      expect(stderr).toContain(
        `weighted.jsonl:1: field 'chosen_weights' gives token weights, which ${refusing}`,
      );
    }
  });
});
