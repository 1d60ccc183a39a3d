import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { encodeFloats } from '../../src/formats/half.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { unshared } from '../../src/nn/shares.ts';
import { expectClose, expectSameBits } from '../support/close.ts';
import { type FixtureTensor, fixturesOf } from '../support/fixtures.ts';
import { openGpu, testGpu } from '../support/gpu.ts';
import { Trainee } from '../support/trainee.ts';
import { gridValues } from '../support/workbench.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

const trainees: Trainee[] = [];
const open = (...parameters: ConstructorParameters<typeof Trainee>): Trainee => {
  const trainee = new Trainee(...parameters);
  trainees.push(trainee);
  return trainee;
};
afterEach(async () => {
  for (const trainee of trainees.splice(0)) await trainee.free();
});

describe("AdamW is PyTorch's", () => {
  it.each(fixturesOf('adamw').map((f) => [f.name, f] as const))('three steps, %s', async (_name, fixture) => {
    const { lr, beta1, beta2, eps, weight_decay } = fixture.attrs as Record<string, number>;
    const settings = { adam_beta1: beta1, adam_beta2: beta2, adam_epsilon: eps, weight_decay };
    const trainee = open(gpu, 'adamw', [{ name: 'w', shape: [37] }], { settings });
    trainee.set('w', 'master', fixture.inputs.param.data);
    for (const step of [1, 2, 3]) {
      trainee.set('w', 'gradient', fixture.inputs.grads.data.slice(37 * (step - 1), 37 * step));
      await trainee.step(step, lr);
      // One unit in the last place is 1.2e-7; where weights decay, PyTorch rounds twice.
      expectClose(
        await trainee.get('w', 'master'),
        fixture.outputs[`param_${step}`].data,
        1.5e-7,
        `weights ${step}`,
      );
      const [m, v] = [fixture.outputs[`m_${step}`], fixture.outputs[`v_${step}`]];
      expectClose(await trainee.get('w', 'exp_avg'), m.data, 1e-6, `first moments ${step}`);
      expectClose(await trainee.get('w', 'exp_avg_sq'), v.data, 1e-6, `second moments ${step}`);
    }
  });

  it('decays matrices, not norms', async () => {
    const specs = [
      { name: 'w', shape: [4] },
      { name: 'norm', shape: [4] },
    ];
    const trainee = open(gpu, 'adamw', specs, { settings: { weight_decay: 0.5 } });
    for (const { name } of specs) trainee.set(name, 'master', [1, 2, 3, 4]);
    await trainee.step(1, 0.1);
    expectClose(await trainee.get('w', 'master'), [0.95, 1.9, 2.85, 3.8], 1e-7, 'w');
    expect([...(await trainee.get('norm', 'master'))]).toEqual([1, 2, 3, 4]);
  });
});

describe('16-bit copies', () => {
  it.each([
    ['f16', 'F16'],
    ['bf16', 'BF16'],
  ] as const)('%s: the masters rounded to nearest even', async (dtype, hostDType) => {
    const trainee = open(gpu, 'adamw', [{ name: 'w', shape: [6, 10] }], { dtype });
    trainee.set('w', 'master', gridValues(1, [60]).data);
    trainee.set('w', 'gradient', gridValues(2, [60]).data);
    await trainee.step(1, 1e-3);
    const copy = trainee.slabs.parameters.get('w')?.tensor.shards[0];
    const halves = new Uint16Array(copy === undefined ? new ArrayBuffer(0) : await gpu.read(copy, 0, 120));
    const expected = new Uint16Array(encodeFloats(await trainee.get('w', 'master'), hostDType).buffer);
    expect([...halves]).toEqual([...expected]);
  });
});

describe('gradient norm and clipping are clip_grad_norm_', () => {
  it.each(fixturesOf('clip_grad_norm').map((f) => [f.name, f] as const))('%s', async (_name, fixture) => {
    const { a, b } = fixture.inputs;
    const specs = [
      { name: 'a', shape: a.shape },
      { name: 'b.norm', shape: b.shape },
    ];
    const trainee = open(gpu, 'adamw', specs, { maxGradNorm: Number(fixture.attrs.max_norm) });
    trainee.set('a', 'gradient', a.data);
    trainee.set('b.norm', 'gradient', b.data);
    const [norm, clip, finite] = await trainee.step(1, 1e-3);
    expectClose([norm], fixture.outputs.norm.data, 1e-6, 'norm');
    expect(finite).toBe(1);
    // The clipped gradient shows in the first moments: m = 0.1 g.
    const moments = (name: string) => trainee.get(name, 'exp_avg');
    const tenth = (g: FixtureTensor) => g.data.map((x) => 0.1 * x);
    expectClose(await moments('a'), tenth(fixture.outputs.a), 1e-6, `a, clipped by ${clip}`);
    expectClose(await moments('b.norm'), tenth(fixture.outputs.b), 1e-6, `b, clipped by ${clip}`);
  });
});

describe('a gradient that is not finite moves nothing', () => {
  it.each([
    ['NaN', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['-infinity', Number.NEGATIVE_INFINITY],
    ['a number whose square is infinite', 1e20],
  ])('%s', async (_name, value) => {
    const trainee = open(gpu, 'adamw', [{ name: 'w', shape: [301] }], { maxGradNorm: 1 });
    const [start, gradient] = [gridValues(1, [301]), gridValues(2, [301])].map(
      (x) => new Float32Array(x.data),
    );
    trainee.set('w', 'master', start);
    trainee.set('w', 'gradient', gradient);
    expect((await trainee.step(1, 1e-3))[2]).toBe(1);
    const parts = trainee.partsOf('w');
    const before = await Promise.all(parts.map((part) => trainee.get('w', part)));
    gradient[277] = value;
    trainee.set('w', 'gradient', gradient);
    expect((await trainee.step(2, 1e-3))[2]).toBe(0);
    for (const [i, part] of parts.entries()) expectSameBits(await trainee.get('w', part), before[i], part);
  });
});

describe('moments in host memory', () => {
  it.each(['f32', 'bf16'] as const)('give the bits that moments on the GPU give, %s', async (dtype) => {
    // Two slabs, the first long enough for a ragged last piece.
    const specs = [
      { name: 'w', shape: [131, 77] },
      { name: 'norm', shape: [12] },
    ];
    const options = { settings: { weight_decay: 0.1 }, maxGradNorm: 1, dtype };
    const kept = open(gpu, 'adamw', specs, options);
    const moved = open(gpu, 'adamw', specs, { ...options, moments: 'host' });
    for (const step of [1, 2, 3]) {
      for (const { name, shape } of specs) {
        const [weights, gradient] = [gridValues(1, shape), gridValues(1 + step, shape)];
        for (const trainee of [kept, moved]) {
          if (step === 1) trainee.set(name, 'master', weights.data);
          trainee.set(name, 'gradient', gradient.data);
        }
      }
      await kept.step(step, 1e-2);
      await moved.step(step, 1e-2);
    }
    for (const { name } of specs) {
      for (const part of kept.partsOf(name))
        expectSameBits(await moved.get(name, part), await kept.get(name, part), `${part} of ${name}`);
      const [copy, same] = [moved, kept].map((t) => t.slabs.parameters.get(name)?.tensor.shards[0]);
      if (copy === undefined || same === undefined) throw new RangeError(`There is no ${name}.`);
      expect(await gpu.read(copy)).toEqual(await gpu.read(same));
    }
    const held = moved.optimizer
      .momentsOf('w')
      .map(([, tensor]) => unshared(tensor).shards[0].storage.buffer);
    expect(held).toEqual([undefined, undefined]);
  });
});

describe('sizes', () => {
  it('17 million parameters in one slab: every one is updated, and the norm counts every one', async () => {
    const count = 17_000_003;
    const trainee = open(gpu, 'adamw', [{ name: 'w', shape: [count] }]);
    expect(trainee.slabs.slabs.length).toBe(1);
    const gradient = new Float32Array(count);
    let squares = 0;
    for (let i = 0; i < count; i++) {
      gradient[i] = ((i % 1021) - 510) / 512;
      squares += gradient[i] ** 2;
    }
    trainee.set('w', 'gradient', gradient);
    const [norm] = await trainee.step(1, 0.5);
    expectClose([norm], [Math.sqrt(squares)], 1e-5, 'norm');
    // From zero, the first step is lr sign(g), save where eps shows: never here, unless g is 0.
    const weights = await trainee.get('w', 'master');
    const wrong = weights.findIndex((w, i) => !(Math.abs(w + 0.5 * Math.sign(gradient[i])) < 1e-5));
    expect(wrong).toBe(-1);
  });

  it('parameters cut into slabs by a binding limit of 1 MiB get the same bits as whole ones', async () => {
    const small = await openGpu({ maxBindingBytes: 2 ** 20 });
    const specs = [
      { name: 'a', shape: [1100, 300] },
      { name: 'b', shape: [77, 13] },
    ];
    const [whole, cut] = [gpu, small].map((on) => open(on, 'adamw', specs));
    expect([whole.slabs.slabs.length, cut.slabs.slabs.length]).toEqual([1, 2]);
    const norms: Float32Array[] = [];
    for (const trainee of [whole, cut]) {
      for (const [seed, { name, shape }] of specs.entries()) {
        trainee.set(name, 'master', gridValues(10 + seed, shape).data);
        trainee.set(name, 'gradient', gridValues(20 + seed, shape).data);
      }
      norms.push(await trainee.step(1, 1e-3));
    }
    expectClose(norms[1], norms[0], 1e-6, 'norm');
    for (const { name, shape } of specs) {
      expectSameBits(await cut.get(name, 'master'), await whole.get(name, 'master'), name, shape);
    }
    await trainees.pop()?.free();
    small.close();
  });
});
