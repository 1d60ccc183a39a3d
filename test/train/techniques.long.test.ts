/** Twenty steps with everything that makes them fast give the losses and weights of twenty without any of it. */
import { describe, expect, it } from 'vitest';
import { download } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { expectClose } from '../support/close.ts';
import { openGpu } from '../support/gpu.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';

const STEPS = 20;
const pairs = randomPairs(16, 11, 4, 24);

/** 'own': the kernels this adapter chooses. 'tiled': those of GPUs, with LoRA and activations fused into products, and rows to workgroups. */
type Kernels = 'plain' | 'own' | 'tiled';

async function run(
  gpu: Gpu,
  objective: { name: string; bmc?: object },
  { kernels, lora }: { kernels: Kernels; lora: boolean },
) {
  const plain = kernels === 'plain';
  if (kernels !== 'own') gpu.choices.linear = kernels;
  if (kernels === 'tiled') {
    gpu.choices.rows = 'workgroup';
    gpu.choices.attention = 'tiled';
  }
  if (plain) gpu.choices.attention = 'plain';
  const trainer = await openTrainer(gpu, {
    objective: objective as never,
    train: pairs,
    mode: plain ? 'in_step' : 'auto',
    lora: lora ? { r: 4, alpha: 8, targetModules: ['q_proj', 'v_proj', 'down_proj'] } : undefined,
    training: {
      learning_rate: 1e-4,
      max_steps: STEPS,
      per_device_train_batch_size: 4,
      ...(plain
        ? { prompt_sharing: false, packing: false, gradient_checkpointing: true }
        : { gradient_checkpointing: false, offload_optimizer: true }),
    },
  });
  const losses = (await runSteps(trainer, STEPS)).map(({ loss }) => loss);
  const weights = new Map<string, Float32Array>();
  for (const [name, { master }] of trainer.policy.trained?.parameters ?? [])
    weights.set(name, await download(gpu, master));
  trainer.free();
  gpu.choices.clear();
  return { losses, weights };
}

describe.each([
  ['DPO with BMC weights, all weights trained', { name: 'dpo', bmc: {} }, false],
  ['DPO, LoRA under a frozen head', { name: 'dpo' }, true],
  ['epsilon-DPO, LoRA under a frozen head', { name: 'epsilon-dpo' }, true],
] as const)('%s', (_name, objective, lora) => {
  it(`${STEPS} steps, all techniques on and all off`, async () => {
    const gpu = await openGpu();
    const plain = await run(gpu, objective, { kernels: 'plain', lora });
    for (const kernels of ['own', 'tiled'] as const) {
      const fast = await run(gpu, objective, { kernels, lora });
      expect(fast.losses).toHaveLength(STEPS);
      expectClose(fast.losses, plain.losses, 1e-3, `losses with ${kernels}`);
      for (const [name, weight] of plain.weights)
        expectClose(fast.weights.get(name) ?? [], weight, 1e-3, `${name} with ${kernels}`);
    }
    gpu.close();
  });
});
