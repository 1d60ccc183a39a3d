/** The upper half of a feed-forward block: two products and the activation. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ProductVariant } from '../../src/gpu/choices.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { tapeFor } from '../../src/ops/index.ts';
import { gatedLinear } from '../../src/ops/linear/gated-linear.ts';
import { checkFixture, checkOp } from '../support/check-op.ts';
import { expectClose } from '../support/close.ts';
import { fixturesOf } from '../support/fixtures.ts';
import { testGpu } from '../support/gpu.ts';
import { record } from '../support/record.ts';
import { gridValues, Workbench } from '../support/workbench.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});
afterEach(() => gpu.choices.clear());

const attributes = () => ({});
const inputsOf = (tokens: number, columns: number, inner: number, spread = 1) => [
  gridValues(1, [tokens, inner], spread),
  gridValues(2, [columns, inner]),
  gridValues(3, [columns, inner]),
];

describe("gatedLinear is PyTorch's silu(x gᵀ) (x uᵀ)", () => {
  it.each(fixturesOf('gated_linear').map((f) => [f.name, f] as const))('%s', async (_name, fixture) => {
    await checkFixture(gpu, fixture, ['x', 'gate', 'up'], ['y'], { op: gatedLinear, attributes });
  });
});

describe('gatedLinear against finite differences', () => {
  it('ragged sizes: three kernels', async () => {
    await checkOp(gpu, { op: gatedLinear, inputs: inputsOf(9, 17, 6), attributes });
  });

  it('two kernels', async () => {
    gpu.choices.linear = 'tiled';
    await checkOp(gpu, { op: gatedLinear, inputs: inputsOf(18, 36, 8), attributes });
  });

  it('of frozen weights, gates far from 0', async () => {
    const inputs = inputsOf(5, 4, 8, 1000);
    await checkOp(gpu, { op: gatedLinear, inputs, attributes, differentiate: [0] });
  });
});

describe('by tiles', () => {
  it('takes two dispatches and gives what three give', async () => {
    const [plain, fused] = [await launched('plain', 'f32'), await launched('tiled', 'f32')];
    expect([plain.dispatches, fused.dispatches]).toEqual([3, 2]);
    expectClose(fused.values, plain.values, 1e-5, 'activation');
    expectClose(fused.gradient, plain.gradient, 1e-5, 'gradient of x');
  });

  it.each(['f16', 'bf16'] as const)(
    'keeps the products of %s weights in 16 bits, at their precision',
    async (dtype) => {
      const [plain, fused] = [await launched('plain', dtype), await launched('tiled', dtype)];
      expect([plain.saved, fused.saved]).toEqual(['f32', 'f16']);
      expectClose(fused.values, plain.values, 2e-3, 'activation');
      expectClose(fused.gradient, plain.gradient, 2e-3, 'gradient of x');
    },
  );
});

describe('activations that f16 cannot hold', () => {
  it.each(['tiled', 'tiled16'] as const)(
    'are staged and kept at a fraction of their size, by %s',
    async (variant) => {
      // Inputs of 1e5, gates of 1e6, products of 1e11: f16 ends at 65504.
      const [plain, fused] = [await launched('plain', 'bf16', 1e5), await launched(variant, 'bf16', 1e5)];
      expect(plain.values.some((value) => Math.abs(value) > 1e9)).toBe(true);
      expectClose(fused.values, plain.values, 2e-3, 'activation');
      expectClose(fused.gradient, plain.gradient, 2e-3, 'gradient of x');
    },
  );
});

async function launched(variant: ProductVariant, dtype: 'f32' | 'f16' | 'bf16', size = 1) {
  gpu.choices.linear = variant;
  const bench = new Workbench(gpu);
  const { shape, data } = gridValues(1, [33, 36], 1 / 3);
  const values = Float64Array.from(data, (value) => size * value);
  const x = { ...bench.floats('x', { shape, data: values }), requiresGrad: true };
  const gate = bench.floats('gate', { ...gridValues(2, [68, 36]), dtype });
  const up = bench.floats('up', { ...gridValues(3, [68, 36]), dtype });
  // What comes back from a loss is as small as activations are large.
  const from = gridValues(4, [33, 68]);
  const dy = bench.floats('dy', { ...from, data: Float64Array.from(from.data, (value) => value / size) });
  let dispatches = 0;
  let saved: string | undefined;
  const [activation, gradient] = await record(gpu, (recorder) => {
    const launched = gatedLinear.launch(recorder, [x, gate, up], {});
    dispatches = recorder.dispatches.length;
    saved = launched.saved?.[0].dtype;
    const tape = tapeFor(recorder);
    const [y] = tape.apply(gatedLinear, [x, gate, up], {});
    tape.backward(y, dy);
    return [...launched.outputs, tape.gradientOf(x) ?? expect.unreachable()];
  });
  bench.free();
  return { values: activation, gradient, dispatches, saved };
}
