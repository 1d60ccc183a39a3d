import { beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { binary, dot, type UnaryAttributes, unary } from '../../src/ops/elementwise/vector.ts';
import { checkFixture, checkOp } from '../support/check-op.ts';
import { fixturesOf } from '../support/fixtures.ts';
import { testGpu } from '../support/gpu.ts';
import { gridValues, type HostTensor } from '../support/workbench.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

/** Grid values moved away from 0, where some functions have a kink or a pole. */
const away = (seed: number, length: number): HostTensor => {
  const { shape, data } = gridValues(seed, [length]);
  return { shape, data: Float64Array.from(data, (x) => x + (x < 0 ? -0.25 : 0.25)) };
};
const below = (x: HostTensor): HostTensor => ({ ...x, data: Float64Array.from(x.data, (v) => -Math.abs(v)) });

describe("functions are PyTorch's, near 0 and far from it", () => {
  it.each([
    ['softplus', 'softplus'],
    ['log_sigmoid', 'logSigmoid'],
    ['log1mexp', 'log1mexp'],
  ] as const)('%s', async (op, name) => {
    const [fixture] = fixturesOf(op);
    await checkFixture(gpu, fixture, ['x'], ['y'], {
      op: unary,
      attributes: () => ({ function: name }),
      tolerance: 1e-6,
    });
  });
});

describe('functions of one vector against finite differences', () => {
  it.each<[string, UnaryAttributes, HostTensor]>([
    ['affine', { function: 'affine', scale: -1.5, shift: 0.75 }, gridValues(1, [19])],
    ['log sigmoid', { function: 'logSigmoid' }, gridValues(1, [19])],
    ['softplus', { function: 'softplus' }, gridValues(1, [19])],
    ['relu', { function: 'relu' }, away(1, 19)],
    ['exp', { function: 'exp' }, gridValues(1, [19])],
    ['square', { function: 'square' }, gridValues(1, [19])],
    ['sigmoid', { function: 'sigmoid' }, gridValues(1, [19])],
    ['log(1 - e^x)', { function: 'log1mexp' }, below(away(1, 19))],
    ['sign', { function: 'sign' }, away(1, 19)],
    ['reciprocal', { function: 'reciprocal' }, away(1, 19)],
  ])('%s', async (_name, attributes, x) => {
    await checkOp(gpu, { op: unary, inputs: [x], attributes: () => attributes });
  });
});

describe('functions of two vectors against finite differences', () => {
  it.each([
    ['add', [0, 1]],
    ['subtract', [0, 1]],
    ['multiply', [0, 1]],
    ['divide', [0]],
    ['min', []],
    ['max', []],
    ['greater', []],
  ] as const)('%s', async (name, differentiate) => {
    const inputs = [gridValues(2, [19]), away(3, 19)];
    await checkOp(gpu, { op: binary, inputs, attributes: () => ({ function: name }), differentiate });
  });

  it.each(['add', 'multiply', 'divide'] as const)('%s of a vector and one number for all', async (name) => {
    const inputs = [gridValues(2, [19]), away(3, 1)];
    await checkOp(gpu, { op: binary, inputs, attributes: () => ({ function: name }), differentiate: [0] });
  });

  it('no gradient flows into the one number', async () => {
    const c = {
      op: binary,
      inputs: [gridValues(2, [19]), away(3, 1)],
      attributes: () => ({ function: 'add' as const }),
    };
    await expect(checkOp(gpu, c)).rejects.toThrow('add: no gradient flows into a broadcast operand.');
  });

  it('dot with constant weights', async () => {
    const inputs = [gridValues(4, [37]), gridValues(5, [37])];
    await checkOp(gpu, { op: dot, inputs, attributes: () => ({}), differentiate: [0] });
  });
});
