/** However sequences are laid out on the token axis, every log-prob and every gradient is that of the plain layout. */
import { describe, expect, it } from 'vitest';
import { download } from '../../src/autograd/tensor.ts';
import type { Trainer } from '../../src/train/trainer.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { openTrainer, pairOf, randomPairs, runSteps } from '../support/trainer.ts';

/** Prompts of many lengths, and one of BOS alone. */
const pairs = [...randomPairs(5, 7, 2, 14), pairOf([1], [5, 6, 7, 2], [8, 2], 5)];

/** One sequence per document and one document per micro-batch: nothing is packed, nothing is shared. */
const PLAIN = { packing: false, prompt_sharing: false };
const LAYOUTS = [
  ['packed, prompts shared', {}],
  ['packed, prompts repeated', { prompt_sharing: false }],
  ['one pair at a time, prompt shared', { packing: false }],
  ['packed to a small budget', { max_tokens_per_micro_batch: 40 }],
] as const;

async function gradients(trainer: Trainer): Promise<Map<string, Float32Array>> {
  const gpu = await testGpu();
  const found = new Map<string, Float32Array>();
  for (const [name, { tensor }] of trainer.policy.trained?.parameters ?? []) {
    if (tensor.gradient === undefined) throw new Error(`${name} has no gradient.`);
    found.set(name, await download(gpu, tensor.gradient));
  }
  return found;
}

async function step(objective: Record<string, unknown>, layout: Record<string, unknown>) {
  const trainer = await openTrainer(await testGpu(), {
    objective: objective as { name: string },
    train: pairs,
    eval: pairs,
    training: { learning_rate: 1e-9, max_steps: 1, per_device_train_batch_size: pairs.length, ...layout },
  });
  const before = await trainer.evaluate();
  const [metrics] = await runSteps(trainer, 1);
  const found = await gradients(trainer);
  trainer.free();
  return { before, metrics, gradients: found };
}

describe.each([
  ['simpo', { name: 'simpo' }],
  ['dpo with BMC weights', { name: 'dpo', bmc: {} }],
  ['kto, with completions of other prompts', { name: 'kto' }],
])('%s', async (_, objective) => {
  const plain = await step(objective, PLAIN);

  it.each(LAYOUTS)('%s', async (_name, layout) => {
    const found = await step(objective, layout);
    for (const key of ['before', 'metrics'] as const) {
      expect(Object.keys(found[key])).toEqual(Object.keys(plain[key]));
      for (const name of Object.keys(plain[key])) {
        // Rewards are differences of log-probs, and as exact as those; everything else stands for itself.
        const isReward = name.includes('rewards/') && !name.includes('accuracies');
        const logps = name.replace(/rewards\/.*/, 'logps/chosen');
        const tensor = (metrics: Readonly<Record<string, number>>) =>
          isReward ? [metrics[name], metrics[logps]] : [metrics[name]];
        expectClose(tensor(found[key]), tensor(plain[key]), 1e-5, `${key} ${name}`);
      }
    }
    for (const [name, gradient] of plain.gradients)
      expectClose(found.gradients.get(name) ?? [], gradient, 1e-5, name);
  });
});
