/** Every family gives PyTorch's numbers: test/fixtures/families says how they were made. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { download } from '../../src/autograd/tensor.ts';
import { writeDirectory } from '../../src/formats/directory-writer.ts';
import { decodeFloats } from '../../src/formats/half.ts';
import { SafetensorsFile } from '../../src/formats/safetensors.ts';
import { generate } from '../../src/generate/generator.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { type LoadedModel, loadModel } from '../../src/models/loading/load.ts';
import { loadWithAdapter } from '../../src/models/loading/load-with-adapter.ts';
import { activate } from '../../src/objectives/choice.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { Scorer } from '../../src/score/scorer.ts';
import { referenceLogps } from '../../src/step/reference-rows.ts';
import { trainedModelFiles } from '../../src/train/saving.ts';
import type { Trainer } from '../../src/train/trainer.ts';
import { expectClose, expectSameBits } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { openTrainer, pairOf, runSteps } from '../support/trainer.ts';

const FOLDER = 'test/fixtures/families';
const FAMILIES = ['qwen2', 'qwen3', 'gemma2', 'mistral'] as const;

interface Answers {
  readonly chosen: readonly number[];
  readonly rejected: readonly number[];
}

interface Step {
  readonly loss: number;
  readonly grad_norm: number;
}

interface Steps {
  readonly losses: readonly number[];
  readonly grad_norms: readonly number[];
}

interface Fixture {
  readonly settings: {
    readonly beta: number;
    readonly epsilon: number;
    readonly max_grad_norm: number;
    readonly adamw: { readonly lr: number; readonly weight_decay: number };
  };
  readonly pairs: readonly (Answers & { readonly prompt: readonly number[] })[];
  readonly logps: Readonly<Record<'policy' | 'reference' | 'lora', readonly Answers[]>> & {
    readonly large?: readonly Answers[];
  };
  readonly dpo: Step;
  readonly adamw: Steps;
  readonly lora: Step & { readonly adamw: Steps };
  readonly epsilon_dpo: readonly { readonly step: number }[];
  readonly greedy: readonly { readonly prompt: readonly number[]; readonly ids: readonly number[] }[];
}

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-families-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

async function logpsOf(path: string, adapter?: string): Promise<readonly Float32Array[]> {
  const loaded =
    adapter === undefined
      ? await loadModel(gpu, path, { train: 'none', dtype: 'f32', positions: 256 })
      : await loadWithAdapter(gpu, path, adapter, 256);
  const model = { model: loaded.model, adapter: true };
  const rows = await referenceLogps(gpu, model, examplesOf(fixtureOf(path)), 4096);
  loaded.free();
  return rows;
}

const nameOf = (path: string) => path.slice(FOLDER.length + 1).split('-')[0];
const fixtureOf = (path: string) =>
  JSON.parse(readFileSync(`${FOLDER}/${nameOf(path)}.json`, 'utf8')) as Fixture;
const examplesOf = ({ pairs }: Fixture) => pairs.map((p, i) => pairOf(p.prompt, p.chosen, p.rejected, i));

function expectLogps(found: readonly Float32Array[], expected: readonly Answers[] | undefined): void {
  expect(found.length).toBe(expected?.length);
  found.forEach((logps, i) => {
    const answers = expected?.[i];
    [...(answers?.chosen ?? []), ...(answers?.rejected ?? [])].forEach((value, t) => {
      expect(Math.abs(logps[t] - value), `pair ${i}, token ${t}`).toBeLessThan(2e-5);
    });
  });
}

describe.each(FAMILIES)('%s', (family) => {
  const path = `${FOLDER}/${family}`;
  const fixture = fixtureOf(path);
  const examples = examplesOf(fixture);
  const { beta, max_grad_norm, adamw } = fixture.settings;
  const setup = {
    objective: { name: 'dpo', settings: { beta } },
    train: examples,
    training: {
      per_device_train_batch_size: examples.length,
      max_steps: 10,
      learning_rate: adamw.lr,
      weight_decay: adamw.weight_decay,
      max_grad_norm,
    },
  };
  let tensors: SafetensorsFile;
  beforeAll(async () => {
    tensors = await SafetensorsFile.open(await nodeRuntime().files.open(`${path}.safetensors`));
  });
  afterAll(() => tensors.close());
  const expected = async (name: string) => decodeFloats(await tensors.readTensor(name), 'F32');

  it('log-probs of policy, reference and LoRA agree to 2e-5', async () => {
    expectLogps(await logpsOf(path), fixture.logps.policy);
    expectLogps(await logpsOf(`${path}-reference`), fixture.logps.reference);
    expectLogps(await logpsOf(path, `${path}-lora`), fixture.logps.lora);
  });

  /** The first gradients, ten losses, ten gradient norms and the weights at the end. */
  async function expectTraining(trainer: Trainer, { loss, grad_norm }: Step, steps: Steps, prefix: string) {
    const { parameters } = trainer.policy.trained ?? expect.unreachable();
    const [first] = await runSteps(trainer, 1);
    expectClose([first.loss, first.grad_norm], [loss, grad_norm], 1e-4, 'loss and gradient norm');
    const storedAs = (name: string) => (prefix === '' ? name : `base_model.model.${name}`);
    for (const { name, tensor, shape } of parameters.values()) {
      const gradient = await download(gpu, tensor.gradient ?? expect.unreachable());
      const stored = `${prefix || 'dpo.'}gradients/${storedAs(name)}`;
      expectClose(gradient, await expected(stored), 1e-4, stored, shape);
    }
    const rest = await runSteps(trainer, 9);
    const losses = [first, ...rest].map((metrics) => metrics.loss);
    const norms = [first, ...rest].map((metrics) => metrics.grad_norm);
    expectClose(losses, steps.losses, 1e-4, 'losses');
    expectClose(norms, steps.grad_norms, 1e-4, 'gradient norms');
    for (const { name, master, shape } of parameters.values()) {
      const stored = `${prefix}adamw.after/${storedAs(name)}`;
      expectClose(await download(gpu, master), await expected(stored), 1e-4, stored, shape);
    }
    await expectSameAfterSaving(trainer.policy);
    trainer.free();
    trainer.policy.free();
  }

  /** Writes the trained model, as a Hugging Face directory or as a PEFT adapter, and reads it again. */
  async function expectSameAfterSaving(policy: LoadedModel) {
    const saved = `${folder}/${family}-${policy.lora === undefined ? 'full' : 'lora'}`;
    await writeDirectory(nodeRuntime().files, saved, await trainedModelFiles(gpu, policy));
    const options = { train: 'none', dtype: 'f32', positions: 256 } as const;
    const again =
      policy.lora === undefined
        ? await loadModel(gpu, saved, options)
        : await loadWithAdapter(gpu, path, saved, 256);
    const before = await referenceLogps(gpu, { model: policy.model, adapter: true }, examples, 4096);
    const after = await referenceLogps(gpu, { model: again.model, adapter: true }, examples, 4096);
    after.forEach((logps, i) => {
      expectSameBits(logps, before[i], `pair ${i}`);
    });
    again.free();
  }

  it('every gradient of full fine-tuning, ten AdamW steps and what is saved agree to 1e-4', async () => {
    const trainer = await openTrainer(gpu, { ...setup, model: path, reference: `${path}-reference` });
    await expectTraining(trainer, fixture.dpo, fixture.adamw, '');
  });

  it('every gradient of LoRA, ten AdamW steps and the adapter that is saved agree to 1e-4', async () => {
    const policy = await loadWithAdapter(gpu, path, `${path}-lora`, 256);
    const trainer = await openTrainer(gpu, { ...setup, policy });
    await expectTraining(trainer, fixture.lora, fixture.lora.adamw, 'lora.');
  });

  it('epsilon-DPO takes the steps that the perturbed logits call for', async () => {
    const options = { train: 'none', dtype: 'f32', positions: 256 } as const;
    const policy = await loadModel(gpu, path, options);
    const reference = await loadModel(gpu, `${path}-reference`, options);
    const settings = { epsilon: fixture.settings.epsilon };
    const scorer = new Scorer({
      gpu,
      policy: policy.model,
      reference: { model: reference.model, adapter: false },
      objective: activate({ name: 'epsilon-dpo', settings }),
      details: false,
    });
    const { steps, logps, refLogps } = await scorer.score(examples);
    expect([...(steps ?? [])]).toEqual(fixture.epsilon_dpo.map(({ step }) => step));
    const flat = (answers: readonly Answers[]) => answers.flatMap((a) => [...a.chosen, ...a.rejected]);
    expectClose(logps ?? [], flat(fixture.logps.policy), 1e-5, 'log-probs');
    expectClose(refLogps ?? [], flat(fixture.logps.reference), 1e-5, 'reference log-probs');
    scorer.free();
    policy.free();
    reference.free();
  });

  it('greedy text with a KV cache is the argmax', async () => {
    const loaded: LoadedModel = await loadModel(gpu, path, { train: 'none', dtype: 'f32', positions: 256 });
    const prompts = fixture.greedy.map(({ prompt }) => prompt);
    const texts = await generate(gpu, loaded.model, prompts, {
      temperature: 0,
      topK: 0,
      topP: 1,
      seed: 0,
      maxNewTokens: 12,
      eosIds: [],
      adapter: true,
      batchSize: 3,
    });
    expect(texts).toEqual(fixture.greedy.map(({ ids }) => ids));
    loaded.free();
  });
});

describe('gemma2 with activations that f16 cannot hold', () => {
  const large = `${FOLDER}/gemma2-large`;

  it('log-probs agree to 2e-5', async () => {
    expectLogps(await logpsOf(large), fixtureOf(`${FOLDER}/gemma2`).logps.large);
  });

  it('products staged in f16 give what those in f32 give', async () => {
    const open = { train: 'none', dtype: 'bf16', positions: 256 } as const;
    const examples = examplesOf(fixtureOf(large));
    const made = async (variant: 'plain' | 'tiled16') => {
      gpu.choices.linear = variant;
      const loaded = await loadModel(gpu, large, open);
      const rows = await referenceLogps(gpu, { model: loaded.model, adapter: false }, examples, 4096);
      loaded.free();
      return rows.flatMap((logps) => [...logps]);
    };
    try {
      expectClose(await made('tiled16'), await made('plain'), 2e-3, 'log-probs');
    } finally {
      gpu.choices.clear();
    }
  });
});
