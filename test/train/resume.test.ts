/** A run that was interrupted and resumed gives the metrics and the weights of the run that was not, bit by bit. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { trainConfigFrom } from '../../src/train/config.ts';
import type { TrainHooks } from '../../src/train/hooks.ts';
import { train } from '../../src/train/train.ts';
import { readMetrics } from '../support/metrics.ts';
import { testRuntime } from '../support/runtime.ts';

const STEPS = 4;
const folder = mkdtempSync(join(tmpdir(), 'prefgrad-resume-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function configFor(name: string, objective: Record<string, unknown>, training: Record<string, unknown> = {}) {
  return trainConfigFrom({
    model: { path: 'examples/stories260K' },
    objective,
    data: { train: 'examples/quickstart/train.jsonl', max_length: 128, max_rows: 8 },
    training: {
      learning_rate: 1e-4,
      max_steps: STEPS,
      per_device_train_batch_size: 2,
      logging_steps: 1,
      ...training,
    },
    output_dir: join(folder, name),
    seed: 3,
  });
}

/** Hooks that ask the run to stop once `steps` steps have been started. */
function stoppingAfter(steps: number): TrainHooks {
  let asked = 0;
  return {
    note() {},
    start() {},
    step() {},
    evaluated() {},
    checkpoint() {},
    shouldStop: () => ++asked >= steps,
    finish() {},
  };
}

const read = (name: string) => ({
  metrics: readMetrics(join(folder, name, 'metrics.jsonl')),
  model: readFileSync(join(folder, name, 'model/model.safetensors')).toString('base64'),
});

// methods.long.test.ts resumes every method.
describe('resuming is exact', () => {
  it.each([
    ['dpo-bmc', { name: 'dpo', bmc: {} }],
    ['sgd', { name: 'dpo' }, { optim: 'sgd', sgd_momentum: 0.9, learning_rate: 0.01 }],
  ])('%s', async (name, objective, training?: Record<string, unknown>) => {
    const runtime = testRuntime();
    const [uninterrupted, cut] = [`${name}-whole`, `${name}-cut`].map((run) =>
      configFor(run, objective, training),
    );
    await train(runtime, uninterrupted, stoppingAfter(Number.POSITIVE_INFINITY));
    const interrupted = await train(runtime, cut, stoppingAfter(2));
    expect(interrupted).toMatchObject({ outcome: 'interrupted', step: 2 });
    await train(runtime, cut, stoppingAfter(Number.POSITIVE_INFINITY), { resume: true });
    expect(read(`${name}-cut`)).toEqual(read(`${name}-whole`));
    expect(
      readFileSync(join(folder, `${name}-whole`, 'metrics.jsonl'), 'utf8')
        .trim()
        .split('\n'),
    ).toHaveLength(STEPS);
  });

  // Both stops are at a step with an evaluation, which then comes after them: of the best model, and of the last.
  it('also with evaluations at shares of the run, the best checkpoint and an early end', async () => {
    const runtime = testRuntime();
    const watched = (name: string) =>
      trainConfigFrom({
        ...configFor(name, { name: 'dpo' }),
        data: {
          train: 'examples/quickstart/train.jsonl',
          eval: 'examples/quickstart/train.jsonl',
          max_length: 128,
          max_rows: 4,
        },
        training: {
          learning_rate: 1e-3,
          warmup_ratio: 0,
          max_steps: 4,
          per_device_train_batch_size: 2,
          logging_steps: 1,
          eval_steps: 0.25,
          save_steps: 0.3,
          save_total_limit: 1,
          // It falls on rows that are learned, so that by this the first evaluation is the best.
          metric_for_best_model: 'loss',
          greater_is_better: true,
          load_best_model_at_end: true,
          early_stopping_patience: 1,
        },
      });
    const whole = await train(runtime, watched('watched'), {});
    expect(whole).toMatchObject({ step: 2, best: join(folder, 'watched/checkpoint-1') });
    const cut = watched('watched-cut');
    expect(await train(runtime, cut, stoppingAfter(1))).toMatchObject({ outcome: 'interrupted', step: 1 });
    const again = await train(runtime, cut, stoppingAfter(1), { resume: true });
    expect(again).toMatchObject({ outcome: 'interrupted', step: 2 });
    const rest = await train(runtime, cut, {}, { resume: true });
    expect(rest).toMatchObject({ step: 2, best: join(folder, 'watched-cut/checkpoint-1') });
    expect(read('watched-cut')).toEqual(read('watched'));
    const evaluated = read('watched').metrics.filter((line) => 'eval_loss' in line);
    expect(evaluated.map(({ step }) => step)).toEqual([0, 1, 2]);
  });

  it('also when the optimizer moves to host memory on the way', async () => {
    const runtime = testRuntime();
    const config = (offload_optimizer: boolean) => configFor('moved', { name: 'dpo' }, { offload_optimizer });
    const toTheEnd = stoppingAfter(Number.POSITIVE_INFINITY);
    await train(runtime, configFor('unmoved', { name: 'dpo' }), toTheEnd);
    await train(runtime, config(true), stoppingAfter(2));
    const checkpoint = `${folder}/moved/checkpoint-2/optimizer.safetensors`;
    expect(
      readFileSync(checkpoint)
        .subarray(-4096)
        .some((byte) => byte !== 0),
    ).toBe(true);
    await train(runtime, config(false), toTheEnd, { resume: true });
    expect(read('moved')).toEqual(read('unmoved'));
  });
});
