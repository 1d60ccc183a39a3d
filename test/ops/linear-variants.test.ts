/** Every kernel of a linear layer against the plain one, at the edges of its tiles. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { allocateTensor, freeTensor, type Tensor, whole } from '../../src/autograd/tensor.ts';
import type { ProductVariant } from '../../src/gpu/choices.ts';
import { Gpu } from '../../src/gpu/device.ts';
import {
  launchLinear,
  launchLinearBackwardInput,
  launchLinearBackwardWeight,
} from '../../src/ops/linear/linear.ts';
import { tuneProducts } from '../../src/ops/linear/linear-tuning.ts';
import { askedProducts, type Orientation, variantsFor } from '../../src/ops/linear/linear-variants.ts';
import { rowsConstants, rowsTileFor } from '../../src/ops/linear/matrix-rows.ts';
import { deepestTile, MATRIX_FORMS, matrixConstants } from '../../src/ops/linear/matrix-tiles.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { NVIDIA, NVIDIA_LIMITS } from '../support/matrix-devices.ts';
import { record } from '../support/record.ts';
import { gridValues, type HostTensor, Workbench } from '../support/workbench.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});
afterEach(() => gpu.choices.clear());

/** The product of one orientation, made by one variant. */
async function product(
  variant: ProductVariant,
  orientation: Orientation,
  [tokens, columns, inner]: readonly [number, number, number],
  dtype: 'f32' | 'f16' | 'bf16' = 'f32',
  accumulate = false,
): Promise<Float32Array> {
  gpu.choices.linear = variant;
  const bench = new Workbench(gpu);
  const x = bench.floats('x', thirds(gridValues(1, [tokens, inner])));
  const y = bench.floats('y', thirds(gridValues(2, [tokens, columns])));
  const w = bench.floats('w', { ...gridValues(3, [columns, inner]), dtype });
  const made = { rows: tokens, weight: w, scale: 0.5, accumulate };
  const [values] = await record(gpu, (recorder) => {
    if (orientation === 'FORWARD') launchLinear(recorder, whole(x), whole(y), made);
    else if (orientation === 'INPUT') launchLinearBackwardInput(recorder, whole(y), whole(x), made);
    else launchLinearBackwardWeight(recorder, whole(y), whole(x), made);
    return [{ FORWARD: y, INPUT: x, WEIGHT: w }[orientation]];
  });
  bench.free();
  return values;
}

/** Values that 16 bits cannot hold. */
function thirds({ shape, data }: HostTensor): HostTensor {
  return { shape, data: Float32Array.from(data, (value) => value / 3) };
}

const shapes = [
  ['one tile and a bit', [33, 68, 36]],
  ['few tokens, a wide result', [17, 132, 20]],
  ['several tiles', [150, 96, 172]],
] as const;
const orientations: Orientation[] = ['FORWARD', 'INPUT', 'WEIGHT'];

describe.each(['subgroup', 'tiled'] as const)('linear by %s is the plain product', (variant) => {
  describe.each(shapes)('%s', (_name, shape) => {
    it.each(orientations)('%s', async (orientation) => {
      const plain = await product('plain', orientation, shape);
      expectClose(await product(variant, orientation, shape), plain, 1e-5, orientation);
    });
  });

  it.each(['f16', 'bf16'] as const)('with weights in %s, added to what is there', async (dtype) => {
    for (const orientation of ['FORWARD', 'INPUT'] as const) {
      const plain = await product('plain', orientation, [33, 68, 36], dtype, true);
      expectClose(await product(variant, orientation, [33, 68, 36], dtype, true), plain, 1e-5, orientation);
    }
  });
});

// A product of few tokens leaves some parts empty; an inner size of 18 has no vec4s.
describe.each(['plain', 'tiled'] as const)('a weight gradient by %s, split over tokens', (variant) => {
  it.each([
    ['several parts, the last ragged', 3, [150, 96, 172]],
    ['more parts than tokens fill', 7, [33, 68, 36]],
    ['added to what is there', 2, [150, 8, 36]],
    ['an inner size that is no multiple of 4', 4, [150, 12, 18]],
  ] as const)('%s', async (_name, splits, shape) => {
    for (const accumulate of [false, true]) {
      const whole = await product('plain', 'WEIGHT', shape, 'f32', accumulate);
      gpu.choices.splitK = splits;
      expectClose(await product(variant, 'WEIGHT', shape, 'f32', accumulate), whole, 1e-5, 'dw');
      gpu.choices.splitK = undefined;
    }
  });
});

describe('linear by tiled16', () => {
  it.each(['FORWARD', 'INPUT'] as const)(
    '%s is the plain product to the precision of f16',
    async (orientation) => {
      if (!gpu.has('shader-f16')) return;
      const plain = await product('plain', orientation, [33, 68, 36], 'f16');
      const staged = await product('tiled16', orientation, [33, 68, 36], 'f16');
      expectClose(staged, plain, 2e-3, orientation);
      // Not the same kernel under another name.
      expect(staged).not.toEqual(plain);
    },
  );
});

// Numbers are checked by test/conformance; here, that the forms for NVIDIA compile: Dawn's null backend runs nothing.
describe('linear by matrices', () => {
  it.each(orientations)('%s compiles in every form', async (orientation) => {
    const compiler = await Gpu.open(nodeRuntime(), { backend: 'null' });
    expect(compiler.has('chromium-experimental-subgroup-matrix')).toBe(true);
    const isForward = orientation === 'FORWARD';
    const product = { FORWARD: false, INPUT: false, WEIGHT: false, [orientation]: true };
    const weights = { W_HALF: orientation !== 'WEIGHT' };
    const fusions: Readonly<Record<string, boolean>>[] = [
      { ACCUMULATE: true, RESIDUAL: isForward, W_BF16: true },
      { LOW_RANK: orientation !== 'WEIGHT', LOW_HALF: true, LOW_BF16: true },
      { GATED: isForward, OUT_HALF: isForward },
      { TURNED: isForward, BIAS: isForward },
    ];
    for (const form of Object.values(MATRIX_FORMS)) {
      const tile = deepestTile(NVIDIA, form, NVIDIA_LIMITS);
      if (tile === undefined) throw new Error('A form does not fit.');
      const constants = matrixConstants(NVIDIA, form, tile);
      for (const fused of fusions) {
        const conditions = { ...product, ...weights, ...fused, SIZED: true };
        // Not as a pipeline: the null backend has 16 KiB of workgroup memory, a third of what these forms are for.
        const variant = { kernel: 'linear_matrices', conditions, constants };
        expect(await compiler.kernels.module(variant)).toBeDefined();
      }
    }
    compiler.close();
  });

  it.each([1, 17, 64])('%i rows of a decoding step compile', async (rows) => {
    const compiler = await Gpu.open(nodeRuntime(), { backend: 'null' });
    const tile = rowsTileFor(NVIDIA, rows, NVIDIA_LIMITS);
    if (tile === undefined) throw new Error('No tile fits.');
    const constants = rowsConstants(NVIDIA, tile);
    const fusions: Readonly<Record<string, boolean>>[] = [
      { LOW_RANK: true, TURNED: true, BIAS: true },
      { GATED: true, OUT_HALF: true, OWN_HALF: true },
    ];
    for (const fused of fusions) {
      const conditions = { FORWARD: true, W_HALF: true, ...fused, SIZED: true };
      const variant = { kernel: 'linear_rows_matrices', conditions, constants };
      expect(await compiler.kernels.module(variant)).toBeDefined();
    }
    compiler.close();
  });
});

describe('tuning', () => {
  it('chooses a variant that was measured for every product that has several, and keeps it', async () => {
    askedProducts(gpu).clear();
    await product('plain', 'FORWARD', [33, 68, 36]);
    await product('plain', 'WEIGHT', [33, 68, 36]);
    await product('plain', 'FORWARD', [33, 70, 36]);
    gpu.choices.clear();
    const tuned: string[] = [];
    await tuneProducts(gpu, ({ key, winner, milliseconds }) => {
      tuned.push(key);
      expect(milliseconds[winner]).toBe(Math.min(...Object.values(milliseconds)));
    });
    // A number of columns that is no multiple of 4 leaves no choice.
    expect(tuned.sort()).toEqual(['linear forward 68 x 36 f32', 'linear weight 68 x 36 f32']);
    expect([...gpu.choices.products.keys()].sort()).toEqual(tuned);
    await tuneProducts(gpu, () => expect.unreachable('it was measured before'));
  });

  it.each([
    ['forgets a factor', 'a.y * b', 'a.x * b'],
    // 64 rows of 64 f32 are 4096 words: operands that repeat after as many would hide it.
    [
      'takes other rows than it stores',
      'stage_own(local_index, first_row, ',
      'stage_own(local_index, first_row ^ 64u, ',
    ],
  ])('never takes a variant that %s, however fast', async (_name, text, changed) => {
    const broken = await brokenTiles(text, changed);
    await product('plain', 'FORWARD', [128, 64, 64]);
    askedProducts(gpu).clear();
    const { tensor, key } = asking(broken, [128, 64, 64]);
    await tuneProducts(broken, ({ winner, refused }) => {
      expect(refused).toEqual(['tiled']);
      expect(winner).not.toBe('tiled');
    });
    expect(broken.choices.products.get(key)).toBeDefined();
    freeTensor(broken, tensor);
    broken.close();
  });
});

/** A device whose tiled kernel has `changed` in the place of `text`. */
async function brokenTiles(text: string, changed: string): Promise<Gpu> {
  const runtime = nodeRuntime();
  return Gpu.open({
    ...runtime,
    async kernelSources() {
      const sources = await runtime.kernelSources();
      const name = 'linear/linear_tiled.wgsl';
      expect(sources[name]).toContain(text);
      return { ...sources, [name]: sources[name].replace(text, changed) };
    },
  });
}

function asking(
  on: Gpu,
  [tokens, columns, inner]: readonly [number, number, number],
): { tensor: Tensor; key: string } {
  const tensor = allocateTensor(on, 'w', [columns, inner], 'f32', 'state');
  const shape = {
    orientation: 'FORWARD' as const,
    tokens,
    weight: tensor,
    shard: tensor.shards[0],
    stored: tensor.dtype,
  };
  const key = `linear forward ${columns} x ${inner} f32`;
  askedProducts(on).set(key, shape);
  expect(variantsFor(on, shape)).toContain('tiled');
  return { tensor, key };
}
