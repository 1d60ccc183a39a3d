/** Every method trains the quickstart model from one configuration line: a fixed batch, whose loss must fall. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { objectives } from '../../src/objectives/registry.ts';
import { trainConfigFrom } from '../../src/train/config.ts';
import type { Metrics, TrainHooks } from '../../src/train/hooks.ts';
import { train } from '../../src/train/train.ts';
import { testRuntime } from '../support/runtime.ts';

const STEPS = 3;
const folder = mkdtempSync(join(tmpdir(), 'prefgrad-methods-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function metricsOf(objective: Record<string, unknown>): Promise<Metrics[]> {
  const metrics: Metrics[] = [];
  const hooks: TrainHooks = {
    note() {},
    start() {},
    step: (info) => void metrics.push(info.metrics),
    evaluated() {},
    checkpoint() {},
    shouldStop: () => false,
    finish() {},
  };
  const config = trainConfigFrom({
    model: { path: 'examples/stories260K' },
    objective,
    data: { train: 'examples/quickstart/train.jsonl', max_length: 96, max_rows: 4 },
    training: {
      learning_rate: 3e-4,
      max_steps: STEPS,
      per_device_train_batch_size: 4,
      lr_scheduler_type: 'constant',
      warmup_ratio: 0,
      logging_steps: 1,
    },
    output_dir: join(folder, String(objective.name) + ('bmc' in objective ? '-bmc' : '')),
  });
  await train(testRuntime(), config, hooks);
  return metrics;
}

const plain = objectives.map(({ name }) => ({ name, settings: name === 'tr-dpo' ? { tau: 2 } : {} }));
const weighted = objectives
  .filter(({ takesTokenWeights }) => takesTokenWeights)
  .map(({ name }) => ({ name, bmc: {} }));

describe('every method trains', () => {
  it.each([...plain, ...weighted].map((o): [string, Record<string, unknown>] => [JSON.stringify(o), o]))(
    '%s',
    async (_, objective) => {
      const metrics = await metricsOf(objective);
      expect(metrics).toHaveLength(STEPS);
      for (const step of metrics)
        for (const [name, value] of Object.entries(step)) expect(Number.isFinite(value), name).toBe(true);
      // TR-DPO moves its reference to the policy, and beta-DPO draws other pairs every step: their losses may rise.
      if (objective.name !== 'tr-dpo' && objective.name !== 'beta-dpo') {
        expect(metrics[STEPS - 1].loss).toBeLessThan(metrics[0].loss);
      }
    },
  );
});
