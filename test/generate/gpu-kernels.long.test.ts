/** Decoding by the kernels of GPUs, each held to plain ones in test/ops; a CPU adapter takes 20 s to compile them all. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { generate } from '../../src/generate/generator.ts';
import { type LoadedModel, loadModel } from '../../src/models/loading/load.ts';
import { testGpu } from '../support/gpu.ts';

const PROMPT = [1, 403, 407, 261, 378];
/** PyTorch's, as in engine.test.ts. */
const GREEDY = [432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426, 338, 401, 396, 267, 337, 410, 408];
const SAMPLED = { temperature: 1, topP: 0.95, topK: 100, minP: 0.001, repetitionPenalty: 1.1, seed: 3 };

const gpu = await testGpu();
let loaded: LoadedModel;
beforeAll(async () => {
  gpu.choices.rows = 'workgroup';
  loaded = await loadModel(gpu, 'examples/stories260K', { train: 'none', dtype: 'f32', positions: 128 });
});
afterAll(() => {
  gpu.choices.clear();
  loaded.free();
});

it('gives the greedy text that PyTorch finds', async () => {
  const options = { temperature: 0, maxNewTokens: GREEDY.length, eosIds: [], adapter: false, batchSize: 1 };
  expect(await generate(gpu, loaded.model, [PROMPT], options)).toEqual([GREEDY]);
});

it('gives a sampled text the same bits alone and in company', async () => {
  const options = { ...SAMPLED, maxNewTokens: 24, eosIds: [], adapter: false };
  const prompts = [[3], PROMPT, PROMPT.concat(PROMPT, PROMPT, PROMPT)];
  const alone = await generate(gpu, loaded.model, prompts, { ...options, batchSize: 1 });
  expect(await generate(gpu, loaded.model, prompts, { ...options, batchSize: 3 })).toEqual(alone);
});
