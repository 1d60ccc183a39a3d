/** What a step holds besides weights grows with the tokens, not with the vocabulary, and is what was forecast. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeRandomLlama } from '../../bench/random-llama.ts';
import { openGpu } from '../support/gpu.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-memory-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function model(vocabulary: number): Promise<string> {
  const path = join(folder, String(vocabulary));
  await writeRandomLlama(path, { vocabulary, hidden: 8, inner: 16, layers: 2, heads: 1, kvHeads: 1 });
  return path;
}

/** Bytes by kind, and forecast and peak of a run that takes one step. */
async function held(path: string, objective: Record<string, unknown>, pairs: number) {
  const gpu = await openGpu();
  const trainer = await openTrainer(gpu, {
    model: path,
    objective: objective as { name: string },
    train: randomPairs(pairs, 3, 30, 30),
    training: {
      per_device_train_batch_size: pairs,
      max_tokens_per_micro_batch: 1e6,
      max_steps: 1,
      gradient_checkpointing: false,
    },
  });
  const forecast = trainer.predictedPeakBytes;
  gpu.memory.resetPeak();
  await runSteps(trainer, 1);
  const bytes = (kind: 'activations' | 'batch' | 'state') => gpu.memory.byKind.get(kind) ?? 0;
  const { peak } = gpu.memory;
  const step = bytes('activations') + bytes('batch');
  const state = bytes('state');
  gpu.close();
  return { step, state, peak, forecast };
}

describe.each([
  ['dpo with BMC weights', { name: 'dpo', bmc: {} }],
  ['epsilon-dpo, which sees two logit streams', { name: 'epsilon-dpo' }],
])('%s', (_, objective) => {
  it('holds the same with 4096 and with 131072 words', async () => {
    const [small, large] = [
      await held(await model(4096), objective, 2),
      await held(await model(131072), objective, 2),
    ];
    expect(large.step).toBe(small.step);
    // Each chunk of 2048 words knows where it starts: one number.
    expect(large.state - small.state).toBe((4 * (131072 - 4096)) / 2048);
  });

  it('grows linearly with the tokens', async () => {
    const path = await model(4096);
    const [one, two, three] = [
      await held(path, objective, 20),
      await held(path, objective, 40),
      await held(path, objective, 60),
    ];
    const growth = [two.step - one.step, three.step - two.step];
    expect(growth[0]).toBeGreaterThan(0);
    expect(Math.abs(growth[1] / growth[0] - 1)).toBeLessThan(0.1);
  });

  it('is what was forecast', async () => {
    const { peak, forecast } = await held(await model(4096), objective, 2);
    expect(peak).toBe(forecast);
  });
});
