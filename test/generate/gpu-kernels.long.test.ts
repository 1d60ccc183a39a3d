/** Decoding by the kernels of GPUs, each held to plain ones in test/ops; a CPU adapter takes 20 s to compile them all. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Engine, type EngineOptions } from '../../src/generate/engine.ts';
import { type LoadedModel, loadModel } from '../../src/models/loading/load.ts';
import { testGpu } from '../support/gpu.ts';
import { all, GREEDY, PROMPT, requests, SAMPLED } from './answers.ts';

const gpu = await testGpu();
let loaded: LoadedModel;
const engines: Engine[] = [];

beforeAll(async () => {
  gpu.choices.rows = 'workgroup';
  loaded = await loadModel(gpu, 'examples/stories260K', { train: 'none', dtype: 'f32', positions: 512 });
});
afterAll(async () => {
  for (const engine of engines) await engine.close();
  loaded.free();
  gpu.choices.clear();
});

function open(options: EngineOptions = {}): Engine {
  const engine = new Engine(gpu, loaded.model, { maxSequences: 4, maxPositions: 128, ...options });
  engines.push(engine);
  return engine;
}

it('gives the greedy text that PyTorch finds', async () => {
  const [[{ tokens }]] = await all(open(), [{ prompt: PROMPT, maxTokens: GREEDY.length }]);
  expect(tokens).toEqual(GREEDY);
});

it('gives a text and its log-probs the same bits alone and in company', async () => {
  const together = await all(open(), requests(SAMPLED).slice(0, 3));
  expect(together).toEqual(await all(open({ maxSequences: 1 }), requests(SAMPLED).slice(0, 3)));
});
