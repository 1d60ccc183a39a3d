/** `prefgrad score`: its lines are what training logs, token by token, and its memory does not grow with the file. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runCli } from '../../src/cli/program.ts';
import { scoreLine } from '../../src/score/record.ts';
import { scoreFile } from '../../src/score/score.ts';
import { trainConfigFrom } from '../../src/train/config.ts';
import type { TrainHooks } from '../../src/train/hooks.ts';
import { train } from '../../src/train/train.ts';
import { expectClose } from '../support/close.ts';
import { testRuntime } from '../support/runtime.ts';

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
  readonly index: number;
  readonly file: string;
  readonly line: number;
  readonly loss?: number;
  readonly edit_distance: number;
  readonly epsilon?: { readonly epsilon: number; readonly step: number; readonly beta: number };
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

const rows = readFileSync('examples/quickstart/eval.jsonl', 'utf8').trim().split('\n').slice(0, 12);
const data = join(folder, 'rows.jsonl');
let logged: Record<string, number>;

beforeAll(async () => {
  writeFileSync(data, rows.join('\n'));
  const config = trainConfigFrom({
    model: { path: BASE },
    objective: { name: 'dpo', settings: { beta: 0.5 }, bmc: { delta: 2 } },
    data: { train: 'examples/quickstart/train.jsonl', eval: data, max_length: 256, max_rows: 12 },
    training: { learning_rate: 3e-4, max_steps: 2, per_device_train_batch_size: 8 },
    output_dir: join(folder, 'run'),
  });
  const summary = await train(testRuntime(), config, hooks);
  logged = { ...summary.after };
});

async function score(...args: string[]): Promise<Line[]> {
  const out = join(folder, 'scores.jsonl');
  let stderr = '';
  const code = await runCli(
    ['score', '--model', join(folder, 'run/model'), '--data', data, '--out', out, '--force', ...args],
    {
      out() {},
      err: (text) => {
        stderr += text;
      },
      terminal: undefined,
      runtime: async () => testRuntime(),
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
        for (const values of Object.values(side).filter(Array.isArray))
          expect(values).toHaveLength(side.token_ids.length);
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
      data: { train: 'examples/quickstart/train.jsonl', eval: data, max_length: 256, max_rows: 12 },
      training: { learning_rate: 1e-2, max_steps: 2, warmup_ratio: 0, per_device_train_batch_size: 8 },
      output_dir: join(folder, 'lora'),
    });
    const { before, after } = await train(testRuntime(), config, hooks);
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
    expect(Object.keys(line)).toEqual([
      'index',
      'file',
      'line',
      'prompt',
      'chosen',
      'rejected',
      'edit_distance',
    ]);
    expect(Object.keys(line.chosen)).toEqual(['text', 'token_ids', 'tokens', 'logps', 'diff']);
  });
});

/** Runs `prefgrad score` on the trained model as it stands. */
async function run(...args: string[]): Promise<{ code: number; stderr: string }> {
  let stderr = '';
  const code = await runCli(['score', '--model', join(folder, 'run/model'), ...args], {
    out() {},
    err: (text) => {
      stderr += text;
    },
    terminal: undefined,
    runtime: async () => testRuntime(),
    exitCode: 0,
  });
  return { code, stderr };
}

const parsed = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => scoreLine.parse(JSON.parse(line)));

describe('a line of scores', () => {
  it('is there for every row, also for one that is dropped, with the reason', async () => {
    const pair = { prompt: 'Once', chosen: ' a cat.', rejected: ' a dog.' };
    const mixed = [
      pair,
      { ...pair, rejected: pair.chosen },
      { prompt: 'Once', chosen: ' a cat.' },
      { ...pair, prompt: 'Once upon a time '.repeat(9) },
      { ...pair, chosen: ' a cat and a cat and a cat and a cat and a cat and a cat.' },
    ];
    const [file, out] = [join(folder, 'mixed.jsonl'), join(folder, 'mixed-scores.jsonl')];
    writeFileSync(file, mixed.map((row) => JSON.stringify(row)).join('\n'));
    const args = ['--data', file, '--out', out, '--max-length', '16'];
    const refused = await run(...args);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/mixed\.jsonl:3: field 'rejected' is missing/);
    expect(existsSync(out) || existsSync(`${out}.tmp`)).toBe(false);

    expect((await run(...args, '--on-bad-row', 'skip')).code).toBe(0);
    const lines = parsed(readFileSync(out, 'utf8'));
    expect(lines.map(({ index, line }) => [index, line])).toEqual([0, 1, 2, 3, 4].map((i) => [i, i + 1]));
    expect(lines.map((line) => ('dropped' in line ? line.dropped : 'scored'))).toEqual([
      'scored',
      'identical',
      'invalid',
      'too_long',
      'scored',
    ]);
    expect(lines[1]).toMatchObject({
      chosen: { text: ' a cat.' },
      reason: 'both answers are the same tokens',
    });
    expect(lines[2]).toMatchObject({ reason: expect.stringContaining("field 'rejected' is missing") });
    expect(lines[4]).toMatchObject({ truncated: true, prompt: { text: 'Once' } });
    // ' a' and '.' are shared; the rest is 'cat' against 'dog'.
    expect(lines[0]).toMatchObject({ edit_distance: expect.any(Number) });
  });

  it('has the loss that evaluation logs as its mean, and the edits that its marks show', async () => {
    const lines = await score('--reference', BASE, '--objective', 'dpo', '--settings', 'beta=0.5', '--bmc');
    expectClose([mean(lines.map((l) => l.loss ?? Number.NaN))], [logged.eval_loss], 1e-4, 'loss');
    for (const { edit_distance, chosen, rejected } of lines) {
      expect(edit_distance).toBeGreaterThanOrEqual(Math.max(sum(chosen.diff), sum(rejected.diff)));
      expect(edit_distance).toBeLessThanOrEqual(sum(chosen.diff) + sum(rejected.diff));
    }
  });

  it('has statistics per token that are asked for', async () => {
    const options = ['--reference', BASE, '--kl', '--entropy', '--top-k', '3', '--max-rows', '4'];
    for (const line of (await score(...options)).map((l) => scoreLine.parse(l))) {
      if ('dropped' in line) throw new Error('a row was dropped');
      for (const { token_ids, logps, entropy = [], kl = [], ranks = [], top = [] } of [
        line.chosen,
        line.rejected,
      ]) {
        for (const values of [entropy, kl, ranks, top]) expect(values).toHaveLength(token_ids.length);
        expect(Math.min(...entropy, ...kl)).toBeGreaterThan(-1e-5);
        top.forEach((best, t) => {
          expect(best).toHaveLength(3);
          expect(best[0].logp).toBeGreaterThanOrEqual(logps[t] - 1e-5);
          if (ranks[t] < 3) expect(best.map(({ id }) => id)).toContain(token_ids[t]);
        });
      }
    }
  });

  it('has the step and the beta of epsilon-DPO whatever the objective', async () => {
    const asked = (...objective: string[]) => score('--reference', BASE, '--epsilon', '0.05', ...objective);
    const lines = await asked('--objective', 'dpo', '--settings', 'beta=0.2');
    const steps = lines.map((line) => line.epsilon?.step ?? Number.NaN);
    for (const { epsilon } of lines) {
      expect([-1, 0, 1]).toContain(epsilon?.step);
      expectClose([epsilon?.beta ?? 0], [0.2 / (1 + 0.05 * (epsilon?.step ?? 0))], 1e-9, 'beta');
    }
    expect(new Set(steps).size).toBeGreaterThan(1);
    const others = await asked('--objective', 'mipo');
    expect(others.map((line) => line.epsilon?.step)).toEqual(steps);
  });

  it.each([['--kl'], ['--epsilon', '0.01']])('needs a reference for %s', async (...asked) => {
    const { code, stderr } = await run('--data', data, '--out', join(folder, 'none.jsonl'), ...asked);
    expect(code).toBe(2);
    expect(stderr).toContain(`${asked[0]} compares with a reference; give it with --reference DIR.`);
  });

  it('is described by docs/score.schema.json', () => {
    const published: unknown = JSON.parse(readFileSync('docs/score.schema.json', 'utf8'));
    expect(published).toEqual(JSON.parse(JSON.stringify(z.toJSONSchema(scoreLine))));
  });
});

describe('a file of scores', () => {
  const options = {
    model: BASE,
    reference: undefined,
    data,
    objective: undefined,
    bmc: undefined,
    maxLength: 256,
    truncation: 'keep_start',
    columns: {},
    format: 'auto',
    device: undefined,
  } as const;
  const whole = join(folder, 'whole.jsonl');
  beforeAll(async () => {
    await scoreFile(testRuntime(), { ...options, out: whole });
  });

  it.each(['cut.jsonl', 'cut.jsonl.gz'])('that was stopped is continued exactly: %s', async (name) => {
    const out = join(folder, name);
    let batches = 0;
    const stopped = await scoreFile(testRuntime(), { ...options, out, shouldStop: () => ++batches === 1 });
    expect(stopped).toMatchObject({ finished: false, rows: 8 });
    expect(existsSync(out)).toBe(false);
    await expect(scoreFile(testRuntime(), { ...options, out })).rejects.toThrow(
      /was begun and not finished\. Continue it with --resume, or start anew with --force/,
    );
    await expect(scoreFile(testRuntime(), { ...options, out, maxLength: 128, resume: true })).rejects.toThrow(
      /was begun with other options/,
    );
    // What a killed process wrote behind its last checkpoint is cut off.
    writeFileSync(`${out}.tmp`, 'half a li', { flag: 'a' });
    const rates: number[] = [];
    const resumed = await scoreFile(testRuntime(), {
      ...options,
      out,
      resume: true,
      progress: ({ rows: done, scored }) => rates.push(done - scored),
    });
    expect(resumed).toMatchObject({ finished: true, rows: rows.length, kept: rows.length });
    expect(new Set(rates)).toEqual(new Set([8]));
    const bytes = readFileSync(out);
    expect((name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()).toBe(readFileSync(whole, 'utf8'));
    expect(existsSync(`${out}.tmp`) || existsSync(`${out}.tmp.json`)).toBe(false);
  });

  it('that is there already is not replaced without --force; --resume finds it complete', async () => {
    const args = ['--data', data, '--out', whole, '--max-length', '256'];
    const refused = await run(...args);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/whole\.jsonl: is there already\. .*--resume.*--force/);
    const before = readFileSync(whole, 'utf8');
    const complete = await run(...args, '--resume');
    expect(complete.code).toBe(0);
    expect(complete.stderr).toContain('is complete');
    expect(readFileSync(whole, 'utf8')).toBe(before);
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
        '--force',
        ...options,
      ],
      {
        out() {},
        err: (text) => {
          stderr += text;
        },
        terminal: undefined,
        runtime: async () => testRuntime(),
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
