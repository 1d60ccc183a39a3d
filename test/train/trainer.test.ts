/** The whole model against PyTorch: log-probs, loss, every gradient, and ten AdamW steps on a fixed batch. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { download } from '../../src/autograd/tensor.ts';
import { tokenDifferences } from '../../src/data/differences.ts';
import type { Answer, PairExample } from '../../src/data/examples.ts';
import { loadModel } from '../../src/models/loading/load.ts';
import { activate } from '../../src/objectives/choice.ts';
import { trainingSettings } from '../../src/train/config.ts';
import { referenceFrom } from '../../src/train/reference-form.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { runSteps } from '../support/trainer.ts';

interface Gradients {
  readonly loss: number;
  readonly grad_norm: number;
  readonly gradients: Readonly<Record<string, { readonly data: readonly number[] }>>;
}

interface Fixture {
  readonly pairs: readonly {
    readonly prompt: number[];
    readonly chosen: number[];
    readonly rejected: number[];
  }[];
  readonly dpo: Gradients;
  readonly dpo_bmc: Gradients;
  readonly adamw: readonly {
    readonly objective: string;
    readonly lr: number;
    readonly losses: number[];
    readonly grad_norms: number[];
  }[];
}

const folder = new URL('../fixtures/torch/', import.meta.url).pathname;
const fixture = JSON.parse(readFileSync(`${folder}tiny-llama.json`, 'utf8')) as Fixture;

const examples: PairExample[] = fixture.pairs.map(({ prompt, chosen, rejected }, index) => {
  const masks = tokenDifferences(rejected, chosen, 'levenshtein');
  const answer = (ids: number[], diff: Uint8Array): Answer => ({ ids: Int32Array.from(ids), diff });
  return {
    kind: 'pair',
    index,
    line: index + 1,
    promptIds: Int32Array.from(prompt),
    chosen: answer(chosen, masks.chosen),
    rejected: answer(rejected, masks.rejected),
    truncated: false,
  };
});

async function open(
  objective: string,
  learningRate: number,
  training: Record<string, unknown> = {},
): Promise<Trainer> {
  const gpu = await testGpu();
  const bmc =
    objective === 'dpo_bmc' ? { delta: 2, diff: 'levenshtein', reference_weights: 'policy' } : undefined;
  const chosen = activate({
    name: objective.replace('_bmc', ''),
    settings: objective === 'sft' ? {} : { beta: 0.1 },
    bmc,
  });
  const settings = trainingSettings(
    {
      learning_rate: learningRate,
      max_steps: 10,
      per_device_train_batch_size: examples.length,
      lr_scheduler_type: 'constant',
      warmup_ratio: 0,
      ...training,
    },
    chosen.name,
  );
  const options = { dtype: 'f32', positions: 256 } as const;
  const policy = await loadModel(gpu, `${folder}tiny-llama`, { train: 'full', ...options });
  const loaded = await loadModel(gpu, `${folder}tiny-llama-reference`, { train: 'none', ...options });
  const data = { train: examples };
  const reference = await referenceFrom(gpu, chosen.needs, { loaded, adapter: false }, data, {
    maxTokens: 4096,
  });
  const trainer = Trainer.open({
    gpu,
    objective: chosen,
    policy,
    reference,
    ...data,
    training: settings,
    seed: 42,
  });
  await trainer.warmUp();
  return trainer;
}

async function run(trainer: Trainer, steps: number): Promise<{ losses: number[]; norms: number[] }> {
  const metrics = await runSteps(trainer, steps);
  return { losses: metrics.map((m) => m.loss), norms: metrics.map((m) => m.grad_norm) };
}

describe('a training step agrees with PyTorch', () => {
  it.each(['dpo', 'dpo_bmc'] as const)('%s: loss and the gradient of every weight', async (name) => {
    const trainer = await open(name, 1e-3);
    const { losses, norms } = await run(trainer, 1);
    const expected = fixture[name];
    expectClose(losses, [expected.loss], 1e-4, 'loss');
    expectClose(norms, [expected.grad_norm], 1e-4, 'grad_norm');
    const gpu = await testGpu();
    const parameters = trainer.policy.trained?.parameters;
    expect([...(parameters?.keys() ?? [])].sort()).toEqual(Object.keys(expected.gradients).sort());
    for (const [weight, { data }] of Object.entries(expected.gradients)) {
      const gradient = parameters?.get(weight)?.tensor.gradient;
      if (gradient === undefined) throw new Error(`${weight} has no gradient.`);
      expectClose(await download(gpu, gradient), data, 1e-4, weight);
    }
    trainer.free();
  });

  it.each(fixture.adamw.map((a) => [`${a.objective} at ${a.lr}`, a] as const))(
    'ten AdamW steps of %s',
    async (_, expected) => {
      const trainer = await open(expected.objective, expected.lr);
      const { losses, norms } = await run(trainer, expected.losses.length);
      losses.forEach((loss, i) => {
        expectClose([loss], [expected.losses[i]], 1e-4, `loss of step ${i + 1}`);
      });
      expectClose(norms, expected.grad_norms, 1e-3, 'grad_norm');
      trainer.free();
    },
  );

  it('recomputing activations changes nothing', async () => {
    const [kept, recomputed] = [
      await open('dpo', 1e-3, { gradient_checkpointing: false }),
      await open('dpo', 1e-3),
    ];
    expect(await run(recomputed, 3)).toEqual(await run(kept, 3));
    kept.free();
    recomputed.free();
  });

  it('does not depend on how the batch is cut into micro-batches', async () => {
    const [one, four] = [
      await open('dpo_bmc', 1e-3),
      await open('dpo_bmc', 1e-3, { per_device_train_batch_size: 1, gradient_accumulation_steps: 4 }),
    ];
    const [a, b] = [await run(one, 3), await run(four, 3)];
    expectClose(b.losses, a.losses, 1e-5, 'losses');
    expectClose(b.norms, a.norms, 1e-5, 'norms');
    one.free();
    four.free();
  });
});
