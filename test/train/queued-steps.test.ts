/** A step's report is its own, whether it is waited for at once or while further steps are queued. */
import { describe, expect, it } from 'vitest';
import { testGpu } from '../support/gpu.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';

const STEPS = 5;

async function opened() {
  return openTrainer(await testGpu(), {
    objective: { name: 'simpo' },
    train: randomPairs(2 * STEPS, 3, 3, 9),
    training: { learning_rate: 1e-3, per_device_train_batch_size: 2, max_steps: STEPS },
  });
}

describe('an optimizer step', () => {
  it('reports itself, and the same numbers whether the GPU waits for the host or not', async () => {
    const [waiting, queueing] = [await opened(), await opened()];
    const reports = [];
    for (let i = 0; i < STEPS; i++) reports.push(await waiting.runStep());
    expect(reports.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5]);
    expect(await runSteps(queueing, STEPS)).toEqual(reports.map(({ metrics }) => metrics));
    expect(queueing.step).toBe(STEPS);
    waiting.free();
    queueing.free();
  });
});
