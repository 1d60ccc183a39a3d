/** What holds for every method, through the whole small model: the cut of a batch changes nothing, gradients are slopes. */
import { describe, expect, it } from 'vitest';
import { download, upload } from '../../src/autograd/tensor.ts';
import { objectives } from '../../src/objectives/registry.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { normals, openTrainer, randomPairs, runSteps } from '../support/trainer.ts';

const REFERENCE = 'test/fixtures/torch/tiny-llama-reference';
const pairs = randomPairs(8, 13, 3, 10);

interface Method {
  readonly name: string;
  readonly settings?: Record<string, unknown>;
  readonly bmc?: Record<string, unknown>;
}

const plain = objectives.map(({ name }): Method => ({ name, settings: name === 'tr-dpo' ? { tau: 1 } : {} }));
const weighted = objectives
  .filter(({ takesTokenWeights }) => takesTokenWeights)
  .map(({ name }): Method => ({ name, bmc: {} }));
const methods = [...plain, ...weighted].map(
  (m) => [m.bmc === undefined ? m.name : `${m.name} with BMC weights`, m] as const,
);

async function twoSteps(objective: Method, training: Record<string, unknown>) {
  const gpu = await testGpu();
  const trainer = await openTrainer(gpu, {
    objective,
    reference: REFERENCE,
    train: pairs,
    training: { learning_rate: 1e-3, max_steps: 2, ...training },
  });
  const metrics = await runSteps(trainer, 2);
  const weights = new Map<string, Float32Array>();
  for (const [name, p] of trainer.policy.trained?.parameters ?? [])
    weights.set(name, await download(gpu, p.master));
  trainer.free();
  trainer.policy.free();
  return { losses: metrics.map((m) => m.loss), norms: metrics.map((m) => m.grad_norm), weights };
}

describe('cut into 1 x 8, 2 x 4, 8 x 1 or by another packing budget, a step is the same', () => {
  it.each(methods)('%s', async (_, objective) => {
    const whole = await twoSteps(objective, { per_device_train_batch_size: 8 });
    for (const cut of [
      { per_device_train_batch_size: 4, gradient_accumulation_steps: 2 },
      { per_device_train_batch_size: 1, gradient_accumulation_steps: 8 },
      { per_device_train_batch_size: 8, max_tokens_per_micro_batch: 50 },
    ]) {
      const other = await twoSteps(objective, cut);
      expectClose(other.losses, whole.losses, 1e-5, 'losses');
      expectClose(other.norms, whole.norms, 1e-4, 'gradient norms');
      // Adam turns the sign of a gradient that is nearly zero into a whole step, 2e-3 of weights near 0.1 here.
      for (const [name, values] of whole.weights) {
        const found = other.weights.get(name) ?? new Float32Array();
        const far = values.filter((w, i) => Math.abs(w - found[i]) > 1e-5 * Math.max(1, Math.abs(w))).length;
        expect(far / values.length, `${name}: share of weights that differ`).toBeLessThan(0.01);
      }
    }
  });
});

/** Constants to the gradient: weights of BMC, KTO's KL and beta-DPO's beta are proven with frozen values elsewhere. */
const STOPPED = new Set(['kto', 'beta-dpo']);

describe('the gradient through the whole model is the slope of the loss', () => {
  const names = plain.map(({ name }) => name).filter((name) => !STOPPED.has(name));
  it.each(names)('%s', async (name) => {
    const objective = { name };
    const gpu = await testGpu();
    const trainer = await openTrainer(gpu, {
      objective,
      reference: REFERENCE,
      mode: 'in_step',
      train: pairs,
      eval: pairs,
      training: { learning_rate: 1e-12, max_steps: 1, per_device_train_batch_size: 8, max_grad_norm: 1e9 },
    });
    const parameters = [...(trainer.policy.trained?.parameters.values() ?? [])];
    const start = await Promise.all(parameters.map((p) => download(gpu, p.master)));
    await runSteps(trainer, 1);
    const gradients = await Promise.all(
      parameters.map((p) => {
        if (p.tensor.gradient === undefined) throw new Error(`${p.name} has no gradient.`);
        return download(gpu, p.tensor.gradient);
      }),
    );
    const direction = parameters.map((_p, k) => {
      const values = normals(50 + k, start[k].length);
      const length = Math.hypot(...values);
      return values.map((v) => v / length);
    });
    const lossAt = async (h: number) => {
      parameters.forEach((p, k) => {
        upload(
          gpu,
          p.master,
          Float32Array.from(start[k], (w, i) => w + h * direction[k][i]),
        );
      });
      return (await trainer.evaluate()).eval_loss;
    };
    const step = 0.01;
    const measured = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
    const slope = direction.reduce((sum, d, k) => sum + d.reduce((s, v, i) => s + v * gradients[k][i], 0), 0);
    expectClose([slope], [measured], 1e-2, 'slope');
    trainer.free();
    trainer.policy.free();
  });
});
