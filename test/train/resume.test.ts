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

describe('resuming is exact', () => {
  it.each([
    ['dpo-bmc', { name: 'dpo', bmc: {} }],
    ['epsilon-dpo', { name: 'epsilon-dpo', settings: { beta: 0.1, epsilon: 0.1 } }],
    ['beta-dpo', { name: 'beta-dpo' }],
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
