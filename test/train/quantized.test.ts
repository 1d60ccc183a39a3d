/** LoRA on frozen weights of 8 and 4 bits. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel } from '../../src/models/loading/load.ts';
import { testGpu } from '../support/gpu.ts';
import { writeRandomLlama } from '../support/random-llama.ts';
import { openTrainer, randomPairs, runSteps, TINY_LLAMA } from '../support/trainer.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-quantized-'));
const model = join(folder, 'model');
const lora = { r: 4, alpha: 8, targetModules: ['q_proj', 'v_proj', 'down_proj'] };

beforeAll(async () => {
  await writeRandomLlama(model, { vocabulary: 97, hidden: 64, inner: 128, layers: 2, heads: 4, kvHeads: 2 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const load = async (quantize?: 'i8' | 'nf4') =>
  loadModel(await testGpu(), model, { train: lora, dtype: 'f32', quantize, positions: 64 });

describe.each([
  ['8 bits', 'i8'],
  ['4 bits', 'nf4'],
] as const)('LoRA on weights of %s', (_name, quantize) => {
  it('learns; its reference is the same weights without the adapter', async () => {
    const gpu = await testGpu();
    const policy = await load(quantize);
    const trainer = await openTrainer(gpu, {
      objective: { name: 'dpo' },
      policy,
      train: randomPairs(8, 3, 3, 12),
      mode: 'in_step',
      training: { learning_rate: 1e-2, max_steps: 12, per_device_train_batch_size: 8 },
    });
    const metrics = await runSteps(trainer, 12);
    expect(metrics[0].loss).toBeCloseTo(Math.LN2, 5);
    expect(metrics[0]['rewards/chosen']).toBe(0);
    expect(metrics[11].loss).toBeLessThan(0.9 * metrics[0].loss);
    trainer.free();
    policy.free();
  });

  it('takes the memory it says', async () => {
    const gpu = await testGpu();
    const bytesOf = async (bits?: 'i8' | 'nf4') => {
      const before = gpu.memory.current;
      const loaded = await load(bits);
      const bytes = gpu.memory.current - before;
      loaded.free();
      return bytes;
    };
    // Projections of both layers, 4 bytes a weight before; now 8 or 4 bits and an f32 scale for 64 of them.
    const weights = 2 * (64 * 64 * 2 + 2 * 64 * 32 + 3 * 64 * 128);
    const saved = weights * (4 - (quantize === 'i8' ? 1 : 0.5) - 4 / 64);
    // Each of the 14 scale tensors takes a multiple of the alignment.
    expect(Math.abs((await bytesOf()) - (await bytesOf(quantize)) - saved)).toBeLessThan(14 * 256);
  });
});

describe('a model whose rows are no whole groups', () => {
  it('is refused with the name of the weight', async () => {
    const options = { train: lora, dtype: 'f32', quantize: 'nf4', positions: 64 } as const;
    await expect(loadModel(await testGpu(), TINY_LLAMA, options)).rejects.toThrow(
      /_proj\.weight: rows of \d+ cannot be quantized in groups of 64/,
    );
  });
});
