/** Every method trains the quickstart model for 12 steps; stopped in the middle and resumed, it ends bit by bit the same. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { objectives } from '../../src/objectives/registry.ts';
import { trainConfigFrom } from '../../src/train/config.ts';
import type { TrainHooks } from '../../src/train/hooks.ts';
import { train } from '../../src/train/train.ts';
import { readMetrics } from '../support/metrics.ts';
import { testRuntime } from '../support/runtime.ts';

const STEPS = 12;
const folder = mkdtempSync(join(tmpdir(), 'prefgrad-methods-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const plain = objectives.map(({ name }) => ({ name, settings: name === 'tr-dpo' ? { tau: 4 } : {} }));
const weighted = objectives
  .filter(({ takesTokenWeights }) => takesTokenWeights)
  .map(({ name }) => ({ name, bmc: {} }));
const methods = [...plain, ...weighted].map((m): [string, Record<string, unknown>] => [JSON.stringify(m), m]);

function hooks(losses: number[], stopAfter: number): TrainHooks {
  let asked = 0;
  return {
    note() {},
    start() {},
    step: ({ metrics }) => {
      losses.push(metrics.loss);
      for (const [name, value] of Object.entries(metrics)) expect(Number.isFinite(value), name).toBe(true);
    },
    evaluated() {},
    checkpoint() {},
    shouldStop: () => ++asked >= stopAfter,
    finish() {},
  };
}

describe('every method over 12 steps', () => {
  it.each(methods)('%s', async (label, objective) => {
    const configFor = (kind: string) =>
      trainConfigFrom({
        model: { path: 'examples/stories260K' },
        objective,
        data: { train: 'examples/quickstart/train.jsonl', max_length: 96, max_rows: 8 },
        training: {
          learning_rate: 1e-4,
          max_steps: STEPS,
          per_device_train_batch_size: 4,
          lr_scheduler_type: 'constant',
          warmup_ratio: 0,
          logging_steps: 1,
        },
        output_dir: join(folder, label, kind),
      });
    const losses: number[] = [];
    await train(testRuntime(), configFor('whole'), hooks(losses, Number.POSITIVE_INFINITY));
    const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    // A reference that follows the policy, and pairs drawn anew every step, leave no fixed loss that could fall.
    if (objective.name !== 'tr-dpo' && objective.name !== 'beta-dpo')
      expect(mean(losses.slice(-6))).toBeLessThan(mean(losses.slice(0, 6)));
    await train(testRuntime(), configFor('cut'), hooks([], STEPS / 2));
    await train(testRuntime(), configFor('cut'), hooks([], Number.POSITIVE_INFINITY), { resume: true });
    const path = (run: string, file: string) => join(folder, label, run, file);
    expect(readMetrics(path('cut', 'metrics.jsonl'))).toEqual(readMetrics(path('whole', 'metrics.jsonl')));
    const weights = (run: string) => readFileSync(path(run, 'model/model.safetensors'));
    expect(weights('cut').equals(weights('whole'))).toBe(true);
  });
});
