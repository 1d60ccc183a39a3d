/**
 * `training.memory_budget` recomputes as few blocks as fit, offloads the optimizer where that is not enough, and what was
 * forecast is what is then held.
 */
import { describe, expect, it } from 'vitest';
import type { Example } from '../../src/data/examples.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { loadModel } from '../../src/models/loading/load.ts';
import { activate } from '../../src/objectives/choice.ts';
import { trainingSettings } from '../../src/train/config.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { openGpu } from '../support/gpu.ts';

const MODEL = 'examples/stories260K';
const LAYERS = 5;

const rows: Example[] = Array.from({ length: 4 }, (_, index) => ({
  kind: 'pair',
  index,
  line: index + 1,
  promptIds: Int32Array.of(1, 400 + index),
  chosen: { ids: Int32Array.from({ length: 60 }, (_, i) => 3 + i) },
  rejected: { ids: Int32Array.from({ length: 50 }, (_, i) => 90 + i) },
  truncated: false,
}));

/** Plans a run on a GPU whose pool counts nothing else. */
async function planned(
  training: Record<string, unknown>,
  look: (trainer: Trainer, gpu: Gpu) => void | Promise<void>,
): Promise<void> {
  const gpu = await openGpu();
  try {
    const settings = trainingSettings({ per_device_train_batch_size: 4, max_steps: 1, ...training }, 'simpo');
    const policy = await loadModel(gpu, MODEL, { train: 'full', dtype: 'f32', positions: 128 });
    const objective = activate({ name: 'simpo' });
    const options = { gpu, objective, policy, reference: undefined, train: rows, seed: 42 };
    // The first recording makes a few constants, which all programs of a device share.
    Trainer.plan({ ...options, training: settings });
    const held = gpu.memory.current;
    Trainer.plan({ ...options, training: settings });
    expect(gpu.memory.current, 'planning allocates nothing').toBe(held);
    await look(Trainer.open({ ...options, training: settings }), gpu);
  } finally {
    gpu.close();
  }
}

async function forecast(gradient_checkpointing: boolean, offload_optimizer = false): Promise<number> {
  let bytes = 0;
  await planned({ gradient_checkpointing, offload_optimizer }, (trainer) => {
    bytes = trainer.predictedPeakBytes;
  });
  return bytes;
}

async function expectForecast(trainer: Trainer, gpu: Gpu): Promise<void> {
  const forecastBytes = trainer.predictedPeakBytes;
  gpu.memory.resetPeak();
  await trainer.warmUp();
  await trainer.runStep();
  expect(gpu.memory.peak).toBe(forecastBytes);
}

describe('a memory budget', async () => {
  const most = await forecast(false);
  const least = await forecast(true);
  const offloaded = await forecast(true, true);

  it('has something to choose from', () => {
    expect(least).toBeLessThan(0.8 * most);
    // 260,000 parameters of 8 bytes, less what passes through the GPU.
    expect(least - offloaded).toBeGreaterThan(0.4 * 8 * 260_000);
  });

  it('counts what the optimizer in use keeps', async () => {
    const bytes: number[] = [];
    for (const training of [{ optim: 'sgd' }, { optim: 'sgd', sgd_momentum: 0.9 }, { optim: 'adamw' }])
      await planned({ gradient_checkpointing: false, ...training }, async (trainer, gpu) => {
        bytes.push(trainer.predictedPeakBytes);
        if (training.optim === 'sgd') await expectForecast(trainer, gpu);
      });
    const [sgd, momentum, adamw] = bytes;
    // A few numbers of settings aside, AdamW keeps two moments and momentum one.
    expect((adamw - sgd) / (momentum - sgd)).toBeCloseTo(2, 3);
  });

  it('recomputes nothing when everything fits', () =>
    planned({ memory_budget: most }, ({ memoryPlan }) =>
      expect(memoryPlan).toEqual({ recomputedBlocks: 0, moments: 'gpu' }),
    ));

  it('recomputes some blocks in between, and holds what it forecast', () =>
    planned({ memory_budget: Math.round((most + least) / 2) }, async (trainer, gpu) => {
      expect(trainer.memoryPlan.recomputedBlocks).toBeGreaterThan(0);
      expect(trainer.memoryPlan.recomputedBlocks).toBeLessThan(LAYERS);
      expect(trainer.predictedPeakBytes).toBeLessThanOrEqual((most + least) / 2);
      expect(trainer.memoryPlan.moments).toBe('gpu');
      await expectForecast(trainer, gpu);
    }));

  it('offloads the optimizer where recomputing is not enough, and then recomputes as little as fits', () =>
    planned({ memory_budget: least - 1 }, async (trainer, gpu) => {
      expect(trainer.memoryPlan.moments).toBe('host');
      expect(trainer.memoryPlan.recomputedBlocks).toBeLessThan(LAYERS);
      expect(trainer.predictedPeakBytes).toBeLessThan(least);
      await expectForecast(trainer, gpu);
    }));

  it('is refused when the run cannot fit, with what it takes', async () => {
    await expect(planned({ memory_budget: offloaded - 1 }, () => {})).rejects.toThrow(
      /memory_budget: .* is too little\. With every block recomputed and .* in host memory the run takes/,
    );
  });
});
