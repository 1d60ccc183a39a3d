/** LoRA on frozen weights of 8 and 4 bits. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeRandomLlama } from '../../bench/random-llama.ts';
import { type LoadedModel, loadModel } from '../../src/models/loading/load.ts';
import { testGpu } from '../support/gpu.ts';
import { openTrainer, randomPairs, runSteps, TINY_LLAMA } from '../support/trainer.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-quantized-'));
const model = join(folder, 'model');
const lora = { r: 4, alpha: 8, targetModules: ['q_proj', 'v_proj', 'down_proj'] };

const SIZE = { vocabulary: 97, hidden: 64, inner: 128, layers: 2, heads: 4, kvHeads: 2 };
const FAMILIES = {
  qwen2: { architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2' },
  gemma2: {
    architectures: ['Gemma2ForCausalLM'],
    model_type: 'gemma2',
    head_dim: 16,
    hidden_act: 'gelu_pytorch_tanh',
    query_pre_attn_scalar: 16,
    sliding_window: 4,
  },
} as const;

beforeAll(async () => {
  await writeRandomLlama(model, SIZE);
  for (const [family, fields] of Object.entries(FAMILIES))
    await writeRandomLlama(join(folder, family), SIZE, 'F32', fields);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const load = async (quantize?: 'i8' | 'nf4', path = model) =>
  loadModel(await testGpu(), path, { train: lora, dtype: 'f32', quantize, positions: 64 });

/** Twelve steps of DPO, whose reference is the same weights without the adapter. */
async function expectToLearn(policy: LoadedModel): Promise<void> {
  const trainer = await openTrainer(await testGpu(), {
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
}

describe.each([
  ['8 bits', 'i8'],
  ['4 bits', 'nf4'],
] as const)('LoRA on weights of %s', (_name, quantize) => {
  it('learns; its reference is the same weights without the adapter', async () => {
    await expectToLearn(await load(quantize));
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

describe('other families', () => {
  it.each([
    ['qwen2', 'i8'],
    ['gemma2', 'nf4'],
  ] as const)('%s learns on weights in %s', async (family, quantize) => {
    await expectToLearn(await load(quantize, join(folder, family)));
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
