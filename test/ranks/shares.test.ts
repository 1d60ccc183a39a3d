/** Full fine-tuning whose masters and moments ranks hold between them, here in one process on one device. */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { writeDirectory } from '../../src/formats/directory-writer.ts';
import { Gpu } from '../../src/gpu/device.ts';
import { keepDevices } from '../../src/gpu/kept-devices.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { type Ranks, withRanks } from '../../src/runtime/ranks.ts';
import { optimizerFiles, restoreOptimizer, trainedModelFiles } from '../../src/train/saving.ts';
import type { Trainer } from '../../src/train/trainer.ts';
import { temporaryDirectory } from '../runtime/temporary.ts';
import { expectClose } from '../support/close.ts';
import { openGpu } from '../support/gpu.ts';
import { localRanks } from '../support/local-ranks.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';

const pairs = randomPairs(8, 21, 3, 9);
const SIZE = 3;
const folder = await temporaryDirectory();

const runtimes = localRanks(SIZE).map((ranks) => keepDevices(withRanks(nodeRuntime(), ranks)));

afterAll(() => {
  for (const runtime of runtimes) runtime.close();
});

interface Setting {
  readonly dtype: 'f32' | 'bf16';
  readonly offload: boolean;
  readonly objective: 'simpo' | 'tr-dpo';
}

const open = (gpu: Gpu, { dtype, offload, objective: name }: Setting) =>
  openTrainer(gpu, {
    objective: { name, settings: name === 'tr-dpo' ? { tau: 2 } : {} },
    train: pairs,
    dtype,
    training: {
      learning_rate: 1e-3,
      max_steps: 4,
      per_device_train_batch_size: 4,
      offload_optimizer: offload,
      memory_budget: undefined,
    },
  });

/** As every rank, each with a GPU of its own. */
const onRanks = <T>(body: (gpu: Gpu, ranks: Ranks) => Promise<T>): Promise<T[]> =>
  Promise.all(runtimes.map(async (runtime) => body(await Gpu.open(runtime), runtime.ranks)));

/** Writes a checkpoint, which rank 0 does and the others take part in. */
async function save(gpu: Gpu, trainer: Trainer, name: string): Promise<void> {
  const contents = [
    ...(await trainedModelFiles(gpu, trainer.policy)),
    ...optimizerFiles(gpu, trainer.checkpointTensors()),
  ];
  await writeDirectory(gpu.runtime.files, `${folder}/${name}`, contents);
}

const optimizerBytes = (gpu: Gpu) => gpu.memory.byKind.get('optimizer') ?? 0;
const bytesOf = (name: string, file: string) => readFileSync(`${folder}/${name}/${file}`);

/** f32 values of a file of tensors, behind its header. */
function valuesOf(name: string): Float32Array {
  const bytes = bytesOf(name, 'optimizer.safetensors');
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length));
}

function headerOf(name: string): string {
  const bytes = bytesOf(name, 'optimizer.safetensors');
  return bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString();
}

describe.each([
  { dtype: 'f32', offload: false, objective: 'simpo' },
  // Its reference follows masters of which each rank has a slice.
  { dtype: 'bf16', offload: false, objective: 'tr-dpo' },
  { dtype: 'bf16', offload: true, objective: 'simpo' },
] as const)('%o', (setting) => {
  const [one, three, resumed] = ['one', 'three', 'resumed'].map(
    (name) => `${name}-${setting.dtype}-${setting.offload}`,
  );

  it('gives the run of one process, in a third of the memory, and one checkpoint of the same form', async () => {
    const gpu = await openGpu();
    const alone = await open(gpu, setting);
    const losses = (await runSteps(alone, 4)).map(({ loss }) => loss);
    const aloneBytes = { optimizer: optimizerBytes(gpu), weights: gpu.memory.byKind.get('weights') ?? 0 };
    const masterBytes = 4 * (alone.policy.trained?.slabs ?? []).reduce((sum, { length }) => sum + length, 0);
    await save(gpu, alone, one);
    const ends = await onRanks(async (own) => {
      const trainer = await open(own, setting);
      expect(own.memory.current).toBe(trainer.predictedPeakBytes);
      const metrics = await runSteps(trainer, 4);
      const bytes = { optimizer: optimizerBytes(own), weights: own.memory.byKind.get('weights') ?? 0 };
      await save(own, trainer, three);
      const copies = await Promise.all(
        trainer.policy.trained?.slabs.map(({ copy, master }) => own.read((copy ?? master).shards[0])) ?? [],
      );
      return { losses: metrics.map(({ loss }) => loss), bytes, copies };
    });
    for (const end of ends) {
      expectClose(end.losses, losses, 1e-6, 'losses');
      expect(end.copies).toEqual(ends[0].copies);
      if (!setting.offload) expect(end.bytes.optimizer).toBeLessThan(0.45 * aloneBytes.optimizer);
      // A third of the f32 masters stays beside the 16-bit copies.
      if (setting.dtype === 'bf16')
        expect(aloneBytes.weights - end.bytes.weights).toBeGreaterThan(0.6 * masterBytes);
    }
    expect(headerOf(three)).toBe(headerOf(one));
    const tolerance = setting.dtype === 'f32' ? 2e-5 : 2e-3;
    expectClose(valuesOf(three), valuesOf(one), tolerance, 'masters and moments');
  });

  it('continues with the same bits from its checkpoint, and one process from the same', async () => {
    const restoredOn = async (gpu: Gpu, name: string) => {
      const trainer = await open(gpu, setting);
      await restoreOptimizer(gpu, `${folder}/${three}`, trainer.checkpointTensors());
      await trainer.takeMasters();
      await save(gpu, trainer, name);
      return trainer;
    };
    await onRanks((gpu) => restoredOn(gpu, resumed));
    await restoredOn(await openGpu(), `${resumed}-by-one`);
    for (const name of [resumed, `${resumed}-by-one`])
      expect(bytesOf(name, 'optimizer.safetensors').equals(bytesOf(three, 'optimizer.safetensors'))).toBe(
        true,
      );
    expect(bytesOf(resumed, 'model.safetensors').equals(bytesOf(three, 'model.safetensors'))).toBe(true);
  });
});
