/** What evaluations measure beside held-out rows: accuracy on tasks, and KL over the policy's own answers. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type TrainConfigInput, train } from '../../src/index.ts';
import { trainConfigFrom } from '../../src/train/config.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-tasks-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const questions = file(
  'questions.jsonl',
  [
    { problem: 'Once upon a time, there was a little girl named Lily. She', answer: 'she' },
    { problem: 'One day, Tim went to the', answer: 'nowhere' },
  ]
    .map((row) => `${JSON.stringify(row)}\n`)
    .join(''),
);
const task = file(
  'task.yaml',
  'prompt: "{problem}"\nmax_new_tokens: 24\nextraction: {pattern: "she|Lily|nowhere"}\ncomparison: lower_case\n',
);

const config = (over: Partial<TrainConfigInput> = {}): TrainConfigInput => ({
  model: { path: 'examples/stories260K' },
  objective: { name: 'dpo' },
  reference: { mode: 'in_step' },
  data: {
    train: 'examples/quickstart/train.jsonl',
    eval: 'examples/quickstart/eval.jsonl',
    max_length: 96,
    max_rows: 4,
  },
  training: {
    learning_rate: 1e-3,
    max_steps: 2,
    warmup_ratio: 0,
    per_device_train_batch_size: 4,
    eval_tasks_steps: 1,
    eval_samples: 2,
  },
  eval_tasks: [{ task: 'custom', task_file: task, data: questions, name: 'names' }],
  output_dir: join(folder, 'run'),
  ...over,
});

const linesOf = (path: string): Record<string, unknown>[] =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('eval_tasks and eval_samples', () => {
  it('are measured before, between and after the steps, with every case on disk', async () => {
    const summary = await train(config());
    const metrics = linesOf(join(folder, 'run/metrics.jsonl'));
    const of = (name: string) => metrics.filter((row) => name in row).map((row) => [row.step, row[name]]);

    expect(of('eval_names_accuracy').map(([step]) => step)).toEqual([0, 1, 2]);
    for (const step of [0, 1, 2]) {
      const cases = linesOf(join(folder, `run/eval_tasks/names-${step}.jsonl`));
      const right = cases.filter(({ correct }) => correct === true).length;
      expect(of('eval_names_accuracy')[step]).toEqual([step, right / 2]);
    }
    expect(of('eval_names_accuracy')[0]).toEqual([0, 0.5]);
    expect(summary.after?.eval_names_tokens).toBeLessThanOrEqual(24);

    const samples = of('eval_kl_samples');
    expect(samples.map(([step]) => step)).toEqual([0, 2]);
    expect(samples[0][1]).toBeCloseTo(0, 9);
    expect(samples[1][1]).toBeGreaterThan(0);
    expect(summary.after?.eval_kl_samples).not.toBe(summary.after?.eval_kl_chosen);
  });

  it('are refused before anything is trained where they cannot be measured', async () => {
    const problemsOf = (over: Partial<TrainConfigInput>) => () => trainConfigFrom(config(over));
    const { training, eval_tasks = [] } = config();
    expect(problemsOf({ reference: {} })).toThrow(/eval_samples: needs the reference beside the policy; set/);
    expect(problemsOf({ objective: { name: 'simpo' }, reference: {} })).toThrow(/simpo has no reference/);
    expect(problemsOf({ eval_tasks: undefined })).toThrow(
      /eval_tasks_steps: there is nothing to evaluate on/,
    );
    expect(problemsOf({ eval_tasks: [...eval_tasks, ...eval_tasks] })).toThrow(/eval_names_\.\.\.; give one/);
    const noRows = { train: 'examples/quickstart/train.jsonl' };
    expect(problemsOf({ data: noRows, training: { ...training, eval_steps: 1 } })).toThrow(/eval_samples/);

    const output_dir = join(folder, 'refused');
    const unknown = train(config({ output_dir, eval_tasks: [{ task: 'gsm9k', data: questions }] }));
    await expect(unknown).rejects.toThrow(/eval_tasks\.0\.task: .*gsm8k/);
    const long = file('long.jsonl', `${JSON.stringify({ problem: 'Lily '.repeat(200), answer: 'she' })}\n`);
    const tooLong = [{ task: 'custom', task_file: task, data: long }];
    await expect(train(config({ output_dir, eval_tasks: tooLong }))).rejects.toThrow(
      /eval_tasks\.0\.data: question 1 .* data\.max_length is 96/,
    );
    expect(existsSync(join(output_dir, 'metrics.jsonl'))).toBe(false);
  });
});
