/** A frozen weight and its LoRA pair in one sum. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { whole } from '../../src/autograd/tensor.ts';
import type { ProductVariant } from '../../src/gpu/choices.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { launchLinear, launchLinearBackwardInput } from '../../src/ops/linear/linear.ts';
import { loraLinear } from '../../src/ops/linear/lora-linear.ts';
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

const attributes = () => ({ scale: 2.5 });
const inputsOf = (tokens: number, columns: number, inner: number, rank: number) => [
  gridValues(1, [tokens, inner]),
  gridValues(2, [columns, inner]),
  gridValues(3, [rank, inner]),
  gridValues(4, [columns, rank]),
];

describe("loraLinear is PyTorch's x wᵀ + 2.5 (x aᵀ) bᵀ", () => {
  it.each(fixturesOf('lora_linear').map((f) => [f.name, f] as const))('%s', async (_name, fixture) => {
    await checkFixture(gpu, fixture, ['x', 'w', 'a', 'b'], ['y'], { op: loraLinear, attributes });
  });
});

describe('loraLinear against finite differences', () => {
  it('ragged sizes', async () => {
    await checkOp(gpu, { op: loraLinear, inputs: inputsOf(9, 17, 6, 3), attributes });
  });

  it('sizes that fuse', async () => {
    gpu.choices.linear = 'tiled';
    await checkOp(gpu, { op: loraLinear, inputs: inputsOf(18, 16, 8, 4), attributes });
  });

  it('of a frozen weight, with a residual', async () => {
    const inputs = [...inputsOf(18, 12, 8, 4), gridValues(5, [18, 12])];
    gpu.choices.linear = 'tiled';
    await checkOp(gpu, { op: loraLinear, inputs, attributes, differentiate: [0, 2, 3, 4] });
  });

  it('of a frozen weight, with a bias', async () => {
    const inputs = [...inputsOf(18, 12, 8, 4), gridValues(5, [12])];
    await checkOp(gpu, { op: loraLinear, inputs, attributes, differentiate: [0, 2, 3, 4] });
  });
});

describe('fused, by tiles', () => {
  const variant = 'tiled';

  it.each(['f32', 'f16', 'bf16'] as const)('a pair in %s gives what two products give', async (dtype) => {
    for (const direction of ['forward', 'backward'] as const)
      expectClose(
        await made(variant, direction, dtype),
        await made('plain', direction, dtype),
        1e-5,
        direction,
      );
  });

  it('takes one dispatch', async () => {
    expect(await dispatchesOf(variant)).toBe(1);
    expect(await dispatchesOf('plain')).toBe(2);
  });
});

/** Products of 33 tokens with a weight [68, 36] and a pair of rank 8, by one variant. */
async function made(
  variant: ProductVariant,
  direction: 'forward' | 'backward',
  dtype: 'f32' | 'f16' | 'bf16',
): Promise<Float32Array> {
  return (await launched(variant, direction, dtype)).values;
}

async function dispatchesOf(variant: ProductVariant): Promise<number> {
  return (await launched(variant, 'forward', 'f32')).dispatches;
}

async function launched(
  variant: ProductVariant,
  direction: 'forward' | 'backward',
  dtype: 'f32' | 'f16' | 'bf16',
): Promise<{ values: Float32Array; dispatches: number }> {
  gpu.choices.linear = variant;
  const bench = new Workbench(gpu);
  const x = bench.floats('x', gridValues(1, [33, 36]));
  const y = bench.floats('y', gridValues(2, [33, 68]));
  const weight = bench.floats('w', gridValues(3, [68, 36]));
  const low = bench.floats('low', gridValues(4, [33, 8]));
  const a = bench.floats('a', { ...gridValues(5, [8, 36]), dtype });
  const b = bench.floats('b', { ...gridValues(6, [68, 8]), dtype });
  const product = { rows: 33, weight, scale: 1, accumulate: false };
  let dispatches = 0;
  const [values] = await record(gpu, (recorder) => {
    if (direction === 'forward')
      launchLinear(recorder, whole(x), whole(y), product, { lowRank: { own: whole(low), other: b } });
    else launchLinearBackwardInput(recorder, whole(y), whole(x), product, { own: whole(low), other: a });
    dispatches = recorder.dispatches.length;
    return [direction === 'forward' ? y : x];
  });
  bench.free();
  return { values, dispatches };
}
