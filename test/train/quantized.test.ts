/** LoRA on frozen weights of 8 and 4 bits. Other families: quantized.long.test.ts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeRandomLlama } from '../../bench/random-llama.ts';
import { loadModel } from '../../src/models/loading/load.ts';
import { testGpu } from '../support/gpu.ts';
import { TINY_LLAMA } from '../support/trainer.ts';
import { expectToLearn, LORA, loadQuantized, SIZE } from './quantized-runs.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-quantized-'));
const model = join(folder, 'model');
beforeAll(() => writeRandomLlama(model, SIZE));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each([
  ['8 bits', 'i8'],
  ['4 bits', 'nf4'],
] as const)('LoRA on weights of %s', (_name, quantize) => {
  it('learns; its reference is the same weights without the adapter', async () => {
    await expectToLearn(await loadQuantized(model, quantize));
  });

  it('takes the memory it says', async () => {
    const gpu = await testGpu();
    const bytesOf = async (bits?: 'i8' | 'nf4') => {
      const before = gpu.memory.current;
      const loaded = await loadQuantized(model, bits);
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
    const options = { train: LORA, dtype: 'f32', quantize: 'nf4', positions: 64 } as const;
    await expect(loadModel(await testGpu(), TINY_LLAMA, options)).rejects.toThrow(
      /_proj\.weight: rows of \d+ cannot be quantized in groups of 64/,
    );
  });
});
