/**
 * After the warm-up a training step replays what was planned: it makes no buffer, bind group, pipeline or shader module,
 * and reads nothing back but one small copy of its metrics.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { bufferOf } from '../../src/gpu/device.ts';
import { openGpu } from '../support/gpu.ts';
import { openTrainer, randomPairs } from '../support/trainer.ts';

const STEPS = 50;
const MAKERS = [
  'createBuffer',
  'createBindGroup',
  'createBindGroupLayout',
  'createPipelineLayout',
  'createComputePipeline',
  'createComputePipelineAsync',
  'createShaderModule',
  'createQuerySet',
  'createTexture',
] as const;

afterEach(() => vi.restoreAllMocks());

describe.each([
  ['dpo with BMC weights', { name: 'dpo', bmc: {} }],
  ['beta-dpo, which sees a whole step at once', { name: 'beta-dpo' }],
])('%s over 50 shuffled batches of random lengths', (_, objective) => {
  it('makes nothing, reads one copy of metrics a step, and leaves at most 10% of the slots empty', async () => {
    const gpu = await openGpu();
    const trainer = await openTrainer(gpu, {
      objective,
      train: randomPairs(4 * STEPS, 11, 2, 30),
      training: { max_steps: STEPS, per_device_train_batch_size: 4 },
    });
    expect(trainer.totalSteps).toBe(STEPS);
    expect(trainer.plan.buckets.size).toBeGreaterThanOrEqual(3);
    expect(trainer.plan.emptyShare).toBeLessThanOrEqual(0.1);
    await gpu.settle();
    const held = gpu.memory.current;

    const makers = MAKERS.map((name) => vi.spyOn(gpu.device, name));
    const probe = gpu.memory.allocateReadback('a buffer whose prototype all others share', 4);
    for (const maker of makers) maker.mockClear();
    const mapAsync = vi.spyOn(Object.getPrototypeOf(bufferOf(probe)) as GPUBuffer, 'mapAsync');
    const seen = new Set<number>();
    for (let step = 0; step < STEPS; step++) {
      seen.add(trainer.plan.tokensOf(step));
      await trainer.enqueueStep();
    }
    await gpu.settle();
    expect(seen.size).toBeGreaterThan(20);
    for (const [i, maker] of makers.entries()) expect(maker, MAKERS[i]).not.toHaveBeenCalled();
    expect(mapAsync).toHaveBeenCalledTimes(STEPS);
    gpu.memory.free(probe);
    expect(gpu.memory.current).toBe(held);
    gpu.close();
  });
});

describe('the arena', () => {
  it('is as large as its largest bucket needs, not as all together', async () => {
    const gpu = await openGpu();
    const setup = { objective: { name: 'simpo' } };
    const activations = async (lengths: readonly number[]) => {
      const train = lengths.flatMap((n, i) => randomPairs(1, 20 + i, n, n));
      const trainer = await openTrainer(gpu, {
        ...setup,
        train,
        training: { per_device_train_batch_size: 1 },
      });
      const bytes = gpu.memory.byKind.get('activations') ?? 0;
      const buckets = trainer.plan.buckets.size;
      trainer.free();
      trainer.policy.free();
      return { bytes, buckets };
    };
    const longest = await activations([60]);
    const all = await activations([60, 10, 20, 40]);
    expect(all.buckets).toBe(4);
    expect(all.bytes).toBeLessThan(1.1 * longest.bytes);
    gpu.close();
  });
});
