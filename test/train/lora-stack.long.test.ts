/** LoRA by the kernels of GPUs, which multiply pairs of one input together: what comes of it is what comes of separate products. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { trainConfigFrom } from '../../src/train/config.ts';
import type { Metrics } from '../../src/train/hooks.ts';
import { train } from '../../src/train/train.ts';
import { temporaryDirectory } from '../runtime/temporary.ts';
import { expectClose } from '../support/close.ts';
import { openGpu, testGpu } from '../support/gpu.ts';
import { testRuntime } from '../support/runtime.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';

const folder = await temporaryDirectory();
let gpu: Gpu;
beforeAll(async () => {
  gpu = await openGpu({ profile: 'gpu' });
});
afterAll(() => gpu.close());

const EVERY = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];

/** Metrics of three steps of DPO. */
async function steps(on: Gpu, targetModules: readonly string[], dtype: 'f32' | 'bf16') {
  const trainer = await openTrainer(on, {
    objective: { name: 'dpo' },
    train: randomPairs(4, 2, 3, 9),
    mode: 'in_step',
    dtype,
    lora: { r: 4, alpha: 8, targetModules },
    training: { max_steps: 3, learning_rate: 1e-2 },
  });
  const metrics = await runSteps(trainer, 3);
  trainer.free();
  return metrics;
}

describe.each([
  ['q and v', ['q_proj', 'v_proj']],
  ['gate alone', ['gate_proj']],
  ['up and k', ['up_proj', 'k_proj']],
  ['every module', EVERY],
])('LoRA on %s', (_name, modules) => {
  it.each(['f32', 'bf16'] as const)('%s: policy and reference are bit-equal at step 0', async (dtype) => {
    const [first, second] = await steps(gpu, modules, dtype);
    expect([first['rewards/chosen'], first['rewards/rejected']]).toEqual([0, 0]);
    expect(second['rewards/chosen']).not.toBe(0);
  });

  it('the steps are those of separate products', async () => {
    const [together, apart] = [
      await steps(gpu, modules, 'f32'),
      await steps(await testGpu(), modules, 'f32'),
    ];
    for (const name of ['loss', 'grad_norm', 'rewards/margins'])
      expectClose(
        together.map((metrics) => metrics[name]),
        apart.map((metrics) => metrics[name]),
        1e-3,
        name,
      );
  });
});

describe('files of a run', () => {
  const config = (name: string) =>
    trainConfigFrom({
      model: { path: 'examples/stories260K' },
      objective: 'dpo',
      data: { train: 'examples/quickstart/eval.jsonl', max_length: 96, max_rows: 8 },
      lora: { r: 4, lora_alpha: 8, target_modules: EVERY },
      training: { learning_rate: 3e-3, max_steps: 3, per_device_train_batch_size: 4, autotune: false },
      output_dir: `${folder}/${name}`,
    });
  /** Losses by step; a run that stops does so with a checkpoint. */
  const run = async (name: string, profile: 'auto' | 'gpu', { resume = false, stops = false } = {}) => {
    const losses = new Map<number, number>();
    const hooks = {
      step: ({ step, metrics }: { step: number; metrics: Metrics }) => void losses.set(step, metrics.loss),
      shouldStop: () => stops,
    };
    await train({ ...testRuntime(), profile }, config(name), hooks, { resume });
    return losses;
  };
  const checkpointOf = (name: string) => {
    const [found] = readdirSync(`${folder}/${name}`).filter((file) => file.startsWith('checkpoint-'));
    return `${folder}/${name}/${found}`;
  };
  /** Name, dtype, shape and place of every tensor. */
  const headerOf = (path: string) => {
    const bytes = readFileSync(path);
    return JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString());
  };

  it('are laid out as on a CPU, and a CPU goes on where a GPU stopped', async () => {
    await run('gpu', 'gpu', { stops: true });
    await run('cpu', 'auto', { stops: true });
    const [gpu, cpu] = [checkpointOf('gpu'), checkpointOf('cpu')];
    const files = readdirSync(gpu, { recursive: true, encoding: 'utf8' }).sort();
    expect(files).toEqual(readdirSync(cpu, { recursive: true, encoding: 'utf8' }).sort());
    const tensors = files.filter((file) => file.endsWith('.safetensors'));
    expect(tensors).toEqual(['adapter_model.safetensors', 'optimizer.safetensors']);
    for (const file of tensors) expect(headerOf(`${gpu}/${file}`)).toEqual(headerOf(`${cpu}/${file}`));
    const [resumed, apart] = [
      await run('gpu', 'auto', { resume: true }),
      await run('cpu', 'auto', { resume: true }),
    ];
    expect(resumed.size).toBeGreaterThan(0);
    expectClose([...resumed.values()], [...apart.values()], 1e-3, 'losses after the checkpoint');
  });
});
