/** Products of one x whose LoRA pairs are multiplied together: q, k and v, or gate and up. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Tape } from '../../src/autograd/tape.ts';
import { allocateTensor, joinRows, rowRange, type Tensor, upload } from '../../src/autograd/tensor.ts';
import type { ProductVariant } from '../../src/gpu/choices.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { type Projection, projectEach, projectGated } from '../../src/nn/projection.ts';
import { binary } from '../../src/ops/elementwise/vector.ts';
import { tapeFor } from '../../src/ops/index.ts';
import { gatedLinear } from '../../src/ops/linear/gated-linear.ts';
import { loraStack } from '../../src/ops/linear/lora-stack.ts';
import { checkOp } from '../support/check-op.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { record } from '../support/record.ts';
import { gridValues, Workbench } from '../support/workbench.ts';
import { FORMS } from './few-rows.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});
afterEach(() => gpu.choices.clear());

const none = [undefined, undefined];

describe('against finite differences, by tiles', () => {
  // Ranks 4 and 8; only the first result has a gradient, so that the second pair's part of dlow is zero.
  it('loraStack, with biases', async () => {
    gpu.choices.linear = 'tiled';
    const inputs = [[18, 8], [12, 8], [12, 8], [16, 8], [12, 4], [16, 8], [12], [16]].map((shape, i) =>
      gridValues(i + 1, shape),
    );
    const attributes = () => ({ scale: 2, rotaries: none });
    await checkOp(gpu, { op: loraStack, inputs, attributes, differentiate: [0, 1, 2, 4, 6] });
  });

  it.each([
    [
      'both',
      { gate: true, up: true, scale: 2 },
      [
        [12, 8],
        [12, 4],
        [12, 8],
      ],
    ],
    [
      'the gate',
      { gate: true, up: false, scale: 2 },
      [
        [4, 8],
        [12, 4],
      ],
    ],
    [
      'the other',
      { gate: false, up: true, scale: 2 },
      [
        [4, 8],
        [12, 4],
      ],
    ],
  ] as const)('gatedLinear, a pair on %s', async (_name, pairs, shapes) => {
    gpu.choices.linear = 'tiled';
    const inputs = [[18, 8], [12, 8], [12, 8], ...shapes].map((shape, i) => gridValues(i + 1, shape));
    await checkOp(gpu, { op: gatedLinear, inputs, attributes: () => ({ pairs }) });
  });
});

/** Projections of x [18, 16] to 20, with pairs of rank 8 on those that `has` names, their A one after the other or not. */
function projectionsOf(bench: Workbench, has: readonly boolean[], together: boolean): Projection[] {
  const held = (label: string, seed: number, shape: readonly number[]) => ({
    ...bench.floats(label, gridValues(seed, shape)),
    requiresGrad: true,
    gradient: bench.floats(`d ${label}`, { shape, data: new Float64Array(shape[0] * shape[1]) }),
  });
  const count = has.filter(Boolean).length;
  const all = held('a', 9, [8 * count, 16]);
  const rows = (i: number): Tensor => {
    const [a, gradient] = [all, all.gradient].map((tensor) => rowRange(tensor, 8 * i, 8));
    if (together) return { ...a, gradient };
    const apart = allocateTensor(gpu, 'a', [8, 16], 'f32', 'state');
    bench.adopt(apart);
    upload(
      gpu,
      apart,
      Float32Array.from(gridValues(9, [8 * count, 16]).data).subarray(128 * i, 128 * i + 128),
    );
    return { ...apart, requiresGrad: true, gradient };
  };
  let place = 0;
  return has.map((isPaired, i) => {
    const weight = bench.floats(`w${i}`, gridValues(10 + i, [20, 16]));
    if (!isPaired) return { weight, lora: undefined };
    return { weight, lora: { a: rows(place++), b: held(`b${i}`, 20 + i, [20, 8]), scale: 2 } };
  });
}

type Block = (tape: Tape, x: Tensor, projections: readonly Projection[]) => Tensor;

/** What is asked of a block of projections, and how many dispatches it takes. */
async function run(
  variant: ProductVariant,
  has: readonly boolean[],
  together: boolean,
  block: Block,
  backward = true,
) {
  gpu.choices.linear = variant;
  const bench = new Workbench(gpu);
  const x = { ...bench.floats('x', gridValues(1, [18, 16])), requiresGrad: true };
  const projections = projectionsOf(bench, has, together);
  const counts: number[] = [];
  const values = await record(gpu, (recorder) => {
    const tape = tapeFor(recorder);
    const y = block(tape, x, projections);
    counts.push(recorder.dispatches.length);
    if (!backward) return [y];
    tape.backward(y, bench.floats('dy', gridValues(2, y.shape)));
    counts.push(recorder.dispatches.length - counts[0]);
    const gradients = projections.flatMap(({ lora }) => [lora?.a.gradient, lora?.b.gradient]);
    return [y, tape.gradientOf(x), ...gradients].filter((tensor) => tensor !== undefined);
  });
  bench.free();
  return { values, counts };
}

/** All projections, multiplied. */
const three: Block = (tape, x, projections) =>
  projectEach(tape, x, projections, true).reduce(
    (product, y) => tape.apply(binary, [product, y], { function: 'multiply' })[0],
  );

describe('three projections of x', () => {
  // Forward: two products that multiply, and six, four or five of projections. Backward, besides: of each pair three and of all
  // one, instead of four of each; of a projection without a pair one, and what is added to x by itself nothing.
  it.each([
    ['q, k and v', [true, true, true], 2 + 6, 2 + 4],
    ['q and v', [true, false, true], 2 + 5, 2 + 4],
    ['one alone', [false, true, false], 2 + 4, 2 + 4],
  ] as const)('%s: as many products, in fewer dispatches', async (_name, has, apart, together) => {
    const expected = await run('plain', has, false, three);
    const [one, other] = [await run('tiled', has, true, three), await run('tiled', has, false, three)];
    one.values.forEach((values, i) => {
      expectClose(values, expected.values[i], 1e-5, `result ${i}, together`);
      expectClose(other.values[i], expected.values[i], 1e-5, `result ${i}, apart`);
    });
    expect([other.counts[0], one.counts[0]]).toEqual([apart, together]);
    expect(one.counts[1]).toBeLessThanOrEqual(other.counts[1]);
  });
});

it('gradients of pairs are the same with the sum over tokens split', async () => {
  const has = [true, true, true];
  const expected = await run('plain', has, false, three);
  gpu.choices.splitK = 2;
  const split = await run('tiled', has, true, three);
  split.values.forEach((values, i) => {
    expectClose(values, expected.values[i], 1e-5, `result ${i}`);
  });
  gpu.choices.splitK = 1;
  // One more for the gradient of all A, and for that of each B.
  expect(split.counts[1] - (await run('tiled', has, true, three)).counts[1]).toBe(4);
});

describe('a gated block', () => {
  it.each([
    ['both', [true, true]],
    ['the gate', [true, false]],
    ['up', [false, true]],
  ] as const)('with a pair on %s gives what separate products give', async (_name, has) => {
    const block: Block = (tape, x, [gate, up]) =>
      projectGated(tape, x, { gate, up, activation: 'silu' }, true);
    const [plain, tiled] = [await run('plain', has, true, block), await run('tiled', has, true, block)];
    tiled.values.forEach((values, i) => {
      expectClose(values, plain.values[i], 1e-5, `result ${i}`);
    });
    // x Aᵀ and both products, the second with the activation.
    expect(tiled.counts[0]).toBe(3);
  });
});

describe.each(FORMS)('few rows of a decoding step, by %ss', (by) => {
  const few =
    (block: Block): Block =>
    (tape, x, projections) =>
      tape.recorder.withFewRows(() => block(tape, x, projections));
  const gated: Block = (tape, x, [gate, up]) => projectGated(tape, x, { gate, up, activation: 'silu' }, true);

  // Elsewhere each projection by itself: two products each, and the activation.
  it.each([
    ['three projections', three, [true, true, true], by === 'workgroup' ? 2 + 4 : 2 + 6],
    ['a gated block', gated, [true, true], by === 'workgroup' ? 3 : 5],
  ] as const)('%s', async (_name, block, has, dispatches) => {
    gpu.choices.rows = by;
    const usual = await run('plain', has, true, block, false);
    const found = await run('plain', has, true, few(block), false);
    expectClose(found.values[0], usual.values[0], 1e-5, 'result');
    expect(found.counts[0]).toBe(dispatches);
  });
});

describe('joinRows', () => {
  it('joins what lies in one storage, one after the other, with its gradients', () => {
    const bench = new Workbench(gpu);
    const all = bench.floats('a', gridValues(1, [12, 16]));
    const [a, b, c] = [0, 4, 8].map((first) => rowRange(all, first, 4));
    const other = bench.floats('b', gridValues(1, [4, 16]));
    const { byteOffset, byteLength, storage } = all.shards[0];
    expect(joinRows([a, b, c])).toMatchObject({
      shape: [12, 16],
      shards: [{ byteOffset, byteLength, storage }],
    });
    expect(joinRows([b, c])?.shards[0]).toMatchObject({ byteOffset: 256, byteLength: 512, rows: 8 });
    for (const apart of [
      [a, c],
      [b, a],
      [a, other],
      [a, { ...b, requiresGrad: true }],
    ])
      expect(joinRows(apart)).toBeUndefined();
    expect(
      joinRows([
        { ...a, gradient: b },
        { ...b, gradient: c },
      ])?.gradient?.shape,
    ).toEqual([8, 16]);
    expect(
      joinRows([
        { ...a, gradient: c },
        { ...b, gradient: b },
      ]),
    ).toBeUndefined();
    expect(joinRows([{ ...a, gradient: c }, b])).toBeUndefined();
    bench.free();
  });
});
