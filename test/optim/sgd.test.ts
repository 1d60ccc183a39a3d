import { readFileSync } from 'node:fs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { expectClose, expectSameBits } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { Trainee } from '../support/trainee.ts';
import { gridValues } from '../support/workbench.ts';

interface SgdCase {
  readonly momentum: number;
  readonly weight_decay: number;
  readonly lr: number;
  readonly param: readonly number[];
  readonly grads: readonly (readonly number[])[];
  readonly params: readonly (readonly number[])[];
  readonly buffers: readonly (readonly number[])[];
}

const file = new URL('../fixtures/torch/sgd.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: SgdCase[] };
const W = [{ name: 'w', shape: [37] }];

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

const trainees: Trainee[] = [];
afterEach(async () => {
  for (const trainee of trainees.splice(0)) await trainee.free();
});
const open = (...parameters: ConstructorParameters<typeof Trainee>): Trainee => {
  const trainee = new Trainee(...parameters);
  trainees.push(trainee);
  return trainee;
};

describe("SGD is PyTorch's", () => {
  it.each(cases.map((c) => [c.momentum, c.weight_decay, c] as const))(
    'three steps, momentum %d, weight decay %d',
    async (sgd_momentum, weight_decay, { lr, param, grads, params, buffers }) => {
      const trainee = open(gpu, 'sgd', W, { settings: { sgd_momentum, weight_decay } });
      trainee.set('w', 'master', param);
      for (const [i, gradient] of grads.entries()) {
        trainee.set('w', 'gradient', gradient);
        await trainee.step(i + 1, lr);
        // A few units in the last place: PyTorch rounds after each operation, the kernel may fuse them.
        expectClose(await trainee.get('w', 'master'), params[i], 3e-7, `weights ${i + 1}`);
        if (sgd_momentum !== 0)
          expectClose(await trainee.get('w', 'momentum_buffer'), buffers[i], 1e-6, `buffer ${i + 1}`);
      }
    },
  );
});

describe('SGD', () => {
  it('decays matrices, not norms', async () => {
    const specs = [
      { name: 'w', shape: [4] },
      { name: 'norm', shape: [4] },
    ];
    const trainee = open(gpu, 'sgd', specs, { settings: { weight_decay: 0.5 } });
    for (const { name } of specs) trainee.set(name, 'master', [1, 2, 3, 4]);
    await trainee.step(1, 0.1);
    expectClose(await trainee.get('w', 'master'), [0.95, 1.9, 2.85, 3.8], 1e-7, 'w');
    expect([...(await trainee.get('norm', 'master'))]).toEqual([1, 2, 3, 4]);
  });

  it('keeps nothing beside the weights without momentum', () => {
    const [without, withMomentum] = [0, 0.9].map((sgd_momentum) =>
      open(gpu, 'sgd', W, { settings: { sgd_momentum }, moments: 'host' }),
    );
    expect(without.partsOf('w')).toEqual(['master']);
    expect(withMomentum.partsOf('w')).toEqual(['master', 'momentum_buffer']);
  });

  it('is moved by nothing once a gradient is not finite', async () => {
    const trainee = open(gpu, 'sgd', W, { settings: { sgd_momentum: 0.9 } });
    const gradient = new Float32Array(gridValues(2, [37]).data);
    trainee.set('w', 'gradient', gradient);
    await trainee.step(1, 0.1);
    const before = await Promise.all(trainee.partsOf('w').map((part) => trainee.get('w', part)));
    trainee.set('w', 'gradient', gradient.with(11, Number.NaN));
    expect((await trainee.step(2, 0.1))[2]).toBe(0);
    for (const [i, part] of trainee.partsOf('w').entries())
      expectSameBits(await trainee.get('w', part), before[i], part);
  });

  it('has the same bits with its momentum in host memory, bf16 copies included', async () => {
    const specs = [{ name: 'w', shape: [131, 77] }];
    const options = { settings: { sgd_momentum: 0.9 }, maxGradNorm: 1, dtype: 'bf16' } as const;
    const kept = open(gpu, 'sgd', specs, options);
    const moved = open(gpu, 'sgd', specs, { ...options, moments: 'host' });
    for (const step of [1, 2]) {
      for (const trainee of [kept, moved]) {
        if (step === 1) trainee.set('w', 'master', gridValues(1, [131, 77]).data);
        trainee.set('w', 'gradient', gridValues(1 + step, [131, 77]).data);
        await trainee.step(step, 1e-2);
      }
    }
    for (const part of kept.partsOf('w'))
      expectSameBits(await moved.get('w', part), await kept.get('w', part), part);
    const [copy, same] = [moved, kept].map((t) => t.slabs.parameters.get('w')?.tensor.shards[0]);
    if (copy === undefined || same === undefined) throw new RangeError('There is no w.');
    expect(await gpu.read(copy)).toEqual(await gpu.read(same));
  });
});
