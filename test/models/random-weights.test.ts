/** A model from scratch: weights by the seed, as transformers starts them, from config.json alone. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { download } from '../../src/autograd/tensor.ts';
import { loadModel } from '../../src/models/loading/load.ts';
import { randomWeights } from '../../src/models/loading/random-weights.ts';
import { readTrainConfig, trainConfigFrom } from '../../src/train/config.ts';
import { train } from '../../src/train/train.ts';
import { testGpu } from '../support/gpu.ts';
import { testRuntime } from '../support/runtime.ts';

const RANGE = 0.05;
const EMBEDDING = 'model.embed_tokens.weight';
const PROJECTION = 'model.layers.0.mlp.up_proj.weight';

/** The files of stories260K without its weights. */
function scratchDirectory(): string {
  const path = join(mkdtempSync(join(tmpdir(), 'prefgrad-scratch-')), 'model');
  cpSync('examples/stories260K', path, { recursive: true });
  rmSync(join(path, 'model.safetensors'));
  const file = join(path, 'config.json');
  const config = { ...JSON.parse(readFileSync(file, 'utf8')), initializer_range: RANGE, pad_token_id: 3 };
  writeFileSync(file, JSON.stringify(config));
  return path;
}
const path = scratchDirectory();

it('draws matrices from normal(0, initializer_range), and starts norms at 1 and the padding row at 0', async () => {
  const gpu = await testGpu();
  const options = { train: 'full', init: 'random', dtype: 'f32', positions: 64 } as const;
  const model = await loadModel(gpu, path, { ...options, seed: 7 });
  const values = (name: string) => download(gpu, model.weight(name));
  for (const name of [EMBEDDING, PROJECTION]) {
    const drawn = await values(name);
    const mean = drawn.reduce((a, b) => a + b, 0) / drawn.length;
    const deviation = Math.sqrt(drawn.reduce((a, b) => a + (b - mean) ** 2, 0) / drawn.length);
    const error = RANGE / Math.sqrt(drawn.length);
    expect(Math.abs(mean), name).toBeLessThan(5 * error);
    expect(Math.abs(deviation - RANGE), name).toBeLessThan(RANGE * 0.03);
  }
  const { hiddenSize } = model.config;
  expect((await values(EMBEDDING)).subarray(3 * hiddenSize, 4 * hiddenSize).every((w) => w === 0)).toBe(true);
  expect((await values('model.norm.weight')).every((w) => w === 1)).toBe(true);
  const [again, other] = [
    await loadModel(gpu, path, { ...options, seed: 7 }),
    await loadModel(gpu, path, { ...options, seed: 8 }),
  ];
  const of = async (loaded: typeof model) => [...(await download(gpu, loaded.weight(PROJECTION)))];
  expect(await of(again)).toEqual(await of(model));
  expect(await of(other)).not.toEqual(await of(model));
  for (const loaded of [model, again, other]) loaded.free();
});

it('makes any piece of a weight on its own', async () => {
  const source = await randomWeights(testRuntime().files, path, 7);
  const whole = await source.readRange(PROJECTION, 0, 4 * 1000);
  const piece = await source.readRange(PROJECTION, 4 * 400, 4 * 100);
  expect([...piece]).toEqual([...whole.subarray(1600, 2000)]);
});

it('trains from the level of chance, and what it saves is a model', async () => {
  const output_dir = join(path, '..', 'run');
  const config = trainConfigFrom({
    model: { path, init: 'random' },
    objective: 'sft',
    data: { train: 'examples/quickstart/train.jsonl', max_length: 128, max_rows: 16 },
    training: { learning_rate: 3e-3, per_device_train_batch_size: 8, max_steps: 4, logging_steps: 1 },
    output_dir,
  });
  const none = () => {};
  const hooks = { note: none, start: none, step: none, evaluated: none, checkpoint: none, finish: none };
  await train(testRuntime(), config, { ...hooks, shouldStop: () => false });
  const lines = readFileSync(join(output_dir, 'metrics.jsonl'), 'utf8').trim().split('\n');
  const losses = lines.map((line): number => JSON.parse(line).loss);
  expect(Math.abs(losses[0] - Math.log(512))).toBeLessThan(0.3);
  expect(losses[losses.length - 1]).toBeLessThan(losses[0] - 0.3);
  const saved = await loadModel(await testGpu(), join(output_dir, 'model'), {
    train: 'none',
    dtype: 'f32',
    positions: 64,
  });
  saved.free();
});

it('refuses LoRA, and a reference that would be random too', () => {
  const raw = { model: { path, init: 'random' }, data: { train: 'd' }, output_dir: 'o' };
  const problems = (more: object) =>
    readTrainConfig({ ...raw, ...more }).problems.map(({ path, message }) => `${path.join('.')}: ${message}`);
  expect(problems({ objective: 'sft', lora: {} })).toEqual([
    'lora: a model from scratch is trained whole; remove this group, or model.init',
  ]);
  expect(problems({ objective: 'dpo' })).toEqual([
    'reference.model: is missing: with model.init random the reference of dpo would be random too',
  ]);
});
