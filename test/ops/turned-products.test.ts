/** Queries and keys: products whose heads are turned by rotary embedding, by their own dispatch or by one more. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { Recorder } from '../../src/gpu/program.ts';
import { project } from '../../src/nn/projection.ts';
import { makeRotaryTable } from '../../src/nn/rotary-table.ts';
import { tapeFor } from '../../src/ops/index.ts';
import { linear } from '../../src/ops/linear/linear.ts';
import { loraLinear } from '../../src/ops/linear/lora-linear.ts';
import { checkOp } from '../support/check-op.ts';
import { expectSameBits } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { inShards, runTurned, type TurnedProduct } from '../support/turned.ts';
import { gridValues, Workbench } from '../support/workbench.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});
afterEach(() => gpu.choices.clear());

const size = {
  rows: 70,
  heads: 3,
  headDim: 24,
  inner: 20,
  weightOf: (bench: Workbench, shape: readonly number[]) => bench.floats('w', gridValues(2, shape)),
};

/** The kernels of a product; its bits are those of the product and the turn apart. */
async function turned(product: Partial<TurnedProduct>): Promise<readonly string[]> {
  const { turned, apart, kernels } = await runTurned(gpu, { ...size, ...product });
  expectSameBits(turned, apart, 'turned product', [product.rows ?? size.rows, size.heads * size.headDim]);
  return kernels;
}

const cut =
  (...ends: readonly number[]): TurnedProduct['weightOf'] =>
  (bench, shape) =>
    inShards(size.weightOf(bench, shape), ends);

describe('the epilogue of a product turns its heads, to the bits of a dispatch of its own', () => {
  it.each<[string, Partial<TurnedProduct>]>([
    ['with a bias', { bias: true }],
    ['with a LoRA pair', { pair: 'bf16' }],
  ])('by tiles, %s', async (_name, product) => {
    gpu.choices.linear = 'tiled';
    expect(await turned(product)).toEqual(['linear_tiled']);
  });

  it('by tiles, of a weight in shards of whole heads', async () => {
    gpu.choices.linear = 'tiled';
    expect(await turned({ inner: 32, weightOf: cut(24, 72), bias: true })).toEqual([
      'linear_tiled',
      'linear_tiled',
    ]);
  });

  it('of the few rows of a decoding step, on GPUs', async () => {
    gpu.choices.rows = 'workgroup';
    expect(await turned({ rows: 3, few: true })).toEqual(['linear_rows']);
  });
});

describe('a dispatch of its own turns them', () => {
  it('where a shard ends within a head', async () => {
    gpu.choices.linear = 'tiled';
    const kernels = await turned({ inner: 32, weightOf: cut(36, 72), bias: true });
    expect(kernels).toEqual(['linear_tiled', 'linear_tiled', 'rotary']);
  });

  it('where a product is made by kernels for CPU adapters', async () => {
    gpu.choices.linear = 'plain';
    expect(await turned({})).toEqual(['linear_forward', 'rotary']);
    gpu.choices.rows = 'invocation';
    expect(await turned({ rows: 3, few: true })).toEqual(['linear_rows', 'rotary']);
  });
});

describe('policy and reference turn heads by the same kernel', () => {
  it.each([
    [8, []],
    [6, ['rotary']],
  ] as const)('LoRA of rank %i, adapter on and off', (rank, apart) => {
    gpu.choices.linear = 'tiled';
    const bench = new Workbench(gpu);
    const made = makeRotaryTable(gpu, 9, 4, 1e4);
    bench.adopt(made.table);
    const rotary = { ...made, headDim: 4, positions: bench.indices('positions', [5], [0, 8, 3, 3, 1]) };
    const [x, weight, a, b] = [
      [5, 8],
      [12, 8],
      [rank, 8],
      [12, rank],
    ].map((shape, i) => bench.floats(`input ${i}`, gridValues(i + 1, shape)));
    for (const adapter of [true, false]) {
      const recorder = new Recorder(gpu);
      project(tapeFor(recorder), x, { weight, lora: { a, b, scale: 2 } }, adapter, { rotary });
      const kernels = recorder.dispatches.map(({ kernel }) => kernel);
      expect(kernels.filter((kernel) => kernel === 'rotary')).toEqual(apart);
    }
    bench.free();
  });
});

describe('against finite differences', () => {
  const attributes = (bench: Workbench) => {
    const made = makeRotaryTable(gpu, 9, 4, 1e4);
    bench.adopt(made.table);
    const rotary = { ...made, headDim: 4, positions: bench.indices('positions', [5], [0, 8, 3, 3, 1]) };
    return { scale: 2.5, rotary };
  };

  it('a product with a bias', async () => {
    const inputs = [gridValues(1, [5, 8]), gridValues(2, [12, 8]), gridValues(3, [12])];
    await checkOp(gpu, { op: linear, inputs, attributes });
  });

  it('a product with a LoRA pair', async () => {
    const inputs = [
      [5, 8],
      [12, 8],
      [4, 8],
      [12, 4],
    ].map((shape, i) => gridValues(i + 1, shape));
    await checkOp(gpu, { op: loraLinear, inputs, attributes });
  });
});
