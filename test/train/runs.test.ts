/** What a run leaves behind besides its model, and how it chooses which model that is. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { nodeRuntime } from '../../src/runtime/node.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { BestCheckpoint } from '../../src/train/best-checkpoint.ts';
import { readTrainConfig, trainConfigFrom } from '../../src/train/config.ts';
import type { Metrics } from '../../src/train/hooks.ts';
import { LogInterval } from '../../src/train/log-interval.ts';
import { train } from '../../src/train/train.ts';
import { VERSION } from '../../src/version.ts';
import { temporaryDirectory } from '../runtime/temporary.ts';
import { expectClose } from '../support/close.ts';
import { readMetrics } from '../support/metrics.ts';
import { testRuntime } from '../support/runtime.ts';

const folder = await temporaryDirectory();
const TRAIN = 'examples/quickstart/train.jsonl';

async function run(name: string, training: object, changes: object = {}, runtime: Runtime = testRuntime()) {
  const steps: Metrics[] = [];
  const notes: string[] = [];
  const output_dir = `${folder}/${name}`;
  const config = trainConfigFrom({
    model: { path: 'examples/stories260K' },
    objective: { name: 'dpo', bmc: {} },
    data: { train: TRAIN, eval: 'examples/quickstart/eval.jsonl', max_length: 128, max_rows: 8 },
    training: { max_steps: 4, per_device_train_batch_size: 2, learning_rate: 1e-4, ...training },
    output_dir,
    ...changes,
  });
  const summary = await train(runtime, config, {
    step: ({ metrics }) => steps.push(metrics),
    note: (line) => notes.push(line),
  });
  return { steps, notes, summary, output_dir, config };
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

describe('a run that is logged every half', () => {
  it('writes means over the interval, with tokens and time, and what ran', async () => {
    const { steps, output_dir, summary, config } = await run(
      'half',
      { logging_steps: 0.5, save_steps: 0.5 },
      {},
      // A device of its own, whose pipelines no other test compiled.
      nodeRuntime(),
    );
    const lines = readMetrics(`${output_dir}/metrics.jsonl`).filter((line) => 'loss' in line);
    expect(lines.map(({ step }) => step)).toEqual([2, 4]);
    for (const name of ['loss', 'rewards/chosen', 'rewards_unweighted/margins', 'grad_norm'])
      expectClose([lines[1][name]], [mean(steps.slice(2).map((s) => s[name]))], 1e-6, name);
    expect(lines[1].learning_rate).toBe(steps[3].learning_rate);
    expect(lines[1].num_tokens).toBe(steps[3].num_tokens);
    expect(steps[3].num_tokens).toBeGreaterThan(steps[2].num_tokens);
    const [last] = readFileSync(`${output_dir}/metrics.jsonl`, 'utf8').trim().split('\n').slice(-2);
    expect(JSON.parse(last)).toMatchObject({
      seconds: expect.any(Number),
      tokens_per_second: expect.any(Number),
    });
    expect(readdirSync(output_dir)).toContain('checkpoint-2');

    const text = readFileSync(`${output_dir}/config.yaml`, 'utf8');
    expect(text).toContain(`# prefgrad ${VERSION}\n`);
    for (const file of ['model.safetensors', 'config.json'])
      expect(text).toMatch(new RegExp(`^# {3}[0-9a-f]{64} {2}examples/stories260K/${file}$`, 'm'));
    expect(text).toMatch(new RegExp(`^# {3}[0-9a-f]{64} {2}${TRAIN}$`, 'm'));
    expect(text).toMatch(/^# device: \S/m);
    expect(readTrainConfig(parse(text)).config).toEqual(JSON.parse(JSON.stringify(config)));

    const record = JSON.parse(readFileSync(`${output_dir}/run.json`, 'utf8'));
    expect(record).toMatchObject({ outcome: 'finished', global_step: 4, version: VERSION });
    expect(record.wall_time_seconds).toBe(summary.seconds);
    expect(record.pipelines).toBeGreaterThan(0);
  });

  it('can keep every step, and checkpoints without an optimizer', async () => {
    const training = { log_every_step: true, logging_steps: 4, save_steps: 2, save_only_model: true };
    const { steps, output_dir, config } = await run('every', training);
    const lines = readMetrics(`${output_dir}/metrics.jsonl`).filter((line) => 'loss' in line);
    expect(lines.map(({ loss }) => loss)).toEqual(steps.map(({ loss }) => loss));
    const saved = readdirSync(`${output_dir}/checkpoint-2`);
    expect(saved).toContain('model.safetensors');
    expect(saved).not.toContain('optimizer.safetensors');
    await expect(train(testRuntime(), config, {}, { resume: true })).rejects.toThrow(/save_only_model/);
  });
});

describe('the best model', () => {
  it('is kept, written at the end, and ends a run that no longer improves', async () => {
    // Rewards of the reference itself: nothing that this rate does can make the loss of step 1 smaller.
    const { output_dir, summary, notes } = await run('best', {
      max_steps: 6,
      learning_rate: 1,
      max_grad_norm: 1e6,
      warmup_ratio: 0,
      eval_steps: 1,
      save_total_limit: 1,
      metric_for_best_model: 'loss',
      load_best_model_at_end: true,
      early_stopping_patience: 1,
    });
    expect(summary.step).toBeLessThan(6);
    expect(notes.join('\n')).toContain('this run ends early');
    expect(summary.best).toBe(`${output_dir}/checkpoint-1`);
    expect(existsSync(`${output_dir}/checkpoint-1`)).toBe(true);
    const file = 'model.safetensors';
    expect(
      readFileSync(`${output_dir}/model/${file}`).equals(readFileSync(`${output_dir}/checkpoint-1/${file}`)),
    ).toBe(true);
  });

  it.each([
    ['loss', undefined, [0.5, 0.4, 0.45], 2],
    ['eval_rewards/accuracies', undefined, [0.5, 0.7, 0.6], 2],
    ['rewards/accuracies', false, [0.5, 0.7, 0.6], 1],
  ])('by %s with greater_is_better %s', (metric_for_best_model, greater_is_better, values, best) => {
    const settings = {
      metric_for_best_model,
      greater_is_better,
      load_best_model_at_end: false,
      early_stopping_patience: 2,
    };
    const chosen = new BestCheckpoint(settings);
    const name = metric_for_best_model.replace(/^(eval_)?/, 'eval_');
    for (const [i, value] of values.entries()) chosen.evaluated(i + 1, { [name]: value });
    expect(chosen.state.best_global_step).toBe(best);
    expect(chosen.isExhausted).toBe(best === 1);
    expect(() => chosen.evaluated(4, { other: 1 })).toThrow(/has no eval_/);
  });

  it('needs evaluations during the run', () => {
    const { problems } = readTrainConfig({
      model: { path: 'm' },
      objective: 'dpo',
      data: { train: 't', eval: 'e' },
      training: { early_stopping_patience: 2 },
      output_dir: 'o',
    });
    expect(problems.map(({ message }) => message)).toEqual([expect.stringContaining('training.eval_steps')]);
  });
});

describe('an interval of the log', () => {
  it('averages what each step has, keeps places in the run, and survives a checkpoint', () => {
    const whole = new LogInterval();
    whole.add({ loss: 1, epoch: 0.1 });
    const resumed = new LogInterval(JSON.parse(JSON.stringify(whole.state)));
    resumed.add({ loss: 3, epoch: 0.2, rare: 5 });
    expect(resumed.take()).toEqual({ loss: 2, epoch: 0.2, rare: 5 });
    expect(resumed.take()).toEqual({});
  });
});

describe('a setting without effect', () => {
  it('is warned of before the first step', async () => {
    const objective = { name: 'tr-dpo', settings: { tau: 2 } };
    const { notes } = await run('tau', { max_steps: 1 }, { objective });
    expect(notes).toContainEqual(
      expect.stringMatching(/^Warning: objective\.settings\.tau: .* every 2 steps, but the run has 1/),
    );
    expect(
      trainConfigFrom({ model: { path: 'm' }, objective: 'tr-dpo', data: { train: 't' }, output_dir: 'o' })
        .objective.settings,
    ).toEqual({});
  });
});
