/** Every kind of checkpoint that is read gives PyTorch's log-probs and, where it is trained, PyTorch's gradients. */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { download } from '../../src/autograd/tensor.ts';
import { loadTokenizer } from '../../src/data/load-tokenizer.ts';
import { generate } from '../../src/generate/generator.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { type LoadedModel, loadModel } from '../../src/models/loading/load.ts';
import { loadWithAdapter } from '../../src/models/loading/load-with-adapter.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { referenceLogps } from '../../src/step/reference-rows.ts';
import type { Trainer } from '../../src/train/trainer.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { openTrainer, pairOf, runSteps } from '../support/trainer.ts';

const FOLDER = 'test/fixtures/torch';
const STORIES = 'examples/stories260K';

interface Expected {
  readonly loss: number;
  readonly grad_norm: number;
  readonly gradients: Readonly<Record<string, { readonly data: readonly number[] }>>;
}

interface Fixture {
  readonly pairs: readonly { prompt: number[]; chosen: number[]; rejected: number[] }[];
  readonly logps: Readonly<Record<string, readonly { chosen: number[]; rejected: number[] }[]>>;
  readonly tied: Expected;
  readonly lora: Expected & { readonly adamw: { lr: number; losses: number[]; grad_norms: number[] } };
}

interface Stories {
  readonly texts: readonly { readonly ids: number[]; readonly logps: number[] }[];
  readonly greedy: { readonly prompt: number[]; readonly ids: number[] };
}

const readJson = <T>(path: string) => JSON.parse(readFileSync(path, 'utf8')) as T;
const fixture = readJson<Fixture>(`${FOLDER}/tiny-llama.json`);
const stories = readJson<Stories>(`${FOLDER}/stories260K.json`);
const examples = fixture.pairs.map((p, i) => pairOf(p.prompt, p.chosen, p.rejected, i));

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

/** `dtype` of the compute copies: the checkpoint's own, so that 16-bit weights are read as they are stored. */
const DTYPES = { bf16: 'bf16', 'f16-sharded': 'f16' } as const;

describe('log-probs agree with PyTorch to 2e-5', () => {
  const open = (name: string): Promise<LoadedModel> => {
    const dtype = DTYPES[name.replace('tiny-llama-', '') as keyof typeof DTYPES] ?? 'f32';
    return name === 'tiny-llama-lora'
      ? loadWithAdapter(gpu, `${FOLDER}/tiny-llama`, `${FOLDER}/${name}`, 256)
      : loadModel(gpu, `${FOLDER}/${name}`, { train: 'none', dtype, positions: 256 });
  };

  it.each(Object.keys(fixture.logps))('%s', async (name) => {
    const loaded = await open(name);
    const rows = await referenceLogps(gpu, { model: loaded.model, adapter: true }, examples, 4096);
    rows.forEach((logps, i) => {
      const expected = fixture.logps[name][i];
      [...expected.chosen, ...expected.rejected].forEach((value, t) => {
        expect(Math.abs(logps[t] - value), `pair ${i}, token ${t}`).toBeLessThan(2e-5);
      });
    });
    loaded.free();
  });

  it('stories260K, and its greedy text of 64 tokens', async () => {
    const loaded = await loadModel(gpu, STORIES, { train: 'none', dtype: 'f32', positions: 512 });
    const rows = stories.texts.map(({ ids }, i) => pairOf(ids.slice(0, 1), ids.slice(1), [2], i));
    const found = await referenceLogps(gpu, { model: loaded.model, adapter: true }, rows, 4096);
    stories.texts.forEach(({ logps }, i) => {
      logps.forEach((value, t) => {
        expect(Math.abs(found[i][t] - value), `text ${i}, token ${t}`).toBeLessThan(2e-5);
      });
    });
    const tokenizer = await loadTokenizer(nodeRuntime().files, STORIES);
    const { prompt, ids } = stories.greedy;
    expect([...tokenizer.encodePrompt('Once upon a time')]).toEqual(prompt);
    const [text] = await generate(gpu, loaded.model, [prompt], {
      temperature: 0,
      topK: 0,
      topP: 1,
      seed: 0,
      maxNewTokens: ids.length,
      eosIds: tokenizer.eosIds,
      adapter: true,
      batchSize: 1,
    });
    expect([...text]).toEqual(ids);
    loaded.free();
  });
});

describe('gradients agree with PyTorch to 1e-4', () => {
  const objective = { name: 'dpo', settings: { beta: 0.1 } };
  const training = { per_device_train_batch_size: examples.length, max_steps: 10 };

  async function expectGradients(trainer: Trainer, expected: Expected, nameOf = (name: string) => name) {
    const [metrics] = await runSteps(trainer, 1);
    expectClose([metrics.loss], [expected.loss], 1e-4, 'loss');
    expectClose([metrics.grad_norm], [expected.grad_norm], 1e-4, 'gradient norm');
    for (const [name, { data }] of Object.entries(expected.gradients)) {
      const gradient = trainer.policy.trained?.parameters.get(nameOf(name))?.tensor.gradient;
      if (gradient === undefined) throw new Error(`${name} has no gradient.`);
      expectClose(await download(gpu, gradient), data, 1e-4, name);
    }
  }

  it('of a tied head: one tensor gets the sum of its two uses', async () => {
    const trainer = await openTrainer(gpu, {
      model: `${FOLDER}/tiny-llama-tied`,
      reference: `${FOLDER}/tiny-llama-reference`,
      objective,
      train: examples,
      training,
    });
    await expectGradients(trainer, fixture.tied);
    trainer.free();
  });

  const openLora = async (learning_rate: number) =>
    openTrainer(gpu, {
      policy: await loadWithAdapter(gpu, `${FOLDER}/tiny-llama`, `${FOLDER}/tiny-llama-lora`, 256),
      objective,
      train: examples,
      training: { ...training, learning_rate },
    });

  it('of a LoRA adapter, whose base weights are the reference', async () => {
    const trainer = await openLora(1e-9);
    await expectGradients(trainer, fixture.lora, (name) => name.replace('base_model.model.', ''));
    trainer.free();
  });

  it('of ten AdamW steps of LoRA', async () => {
    const { lr, losses, grad_norms } = fixture.lora.adamw;
    const trainer = await openLora(lr);
    const metrics = await runSteps(trainer, 10);
    expectClose(
      metrics.map((m) => m.loss),
      losses,
      1e-4,
      'losses',
    );
    expectClose(
      metrics.map((m) => m.grad_norm),
      grad_norms,
      1e-3,
      'gradient norms',
    );
    trainer.free();
  });
});
