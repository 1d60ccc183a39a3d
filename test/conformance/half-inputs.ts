/**
 * Inputs of products that are stored in f16, as tensor cores stage them: forward products give the bits that they give of the same
 * inputs in f32; gradients of weights agree to the precision of f16.
 */
import type { Tensor } from '../../src/autograd/tensor.ts';
import { whole } from '../../src/autograd/tensor.ts';
import type { ProductVariant } from '../../src/gpu/choices.ts';
import { attention } from '../../src/ops/attention/attention.ts';
import { type Activation, glu } from '../../src/ops/elementwise/glu.ts';
import { tapeFor } from '../../src/ops/index.ts';
import { gatedLinear } from '../../src/ops/linear/gated-linear.ts';
import {
  launchLinear,
  launchLinearBackwardInput,
  launchLinearBackwardWeight,
  linear,
} from '../../src/ops/linear/linear.ts';
import { matrixVariants } from '../../src/ops/linear/matrix-tiles.ts';
import { rmsNorm } from '../../src/ops/norm/rms-norm.ts';
import { packedLayout } from '../ops/packed-layout.ts';
import { expectClose, expectSameBits } from '../support/close.ts';
import { record } from '../support/record.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';
import { gridValues } from '../support/workbench.ts';
import { Operands, productValues, quantized } from './by-matrices.ts';
import type { CaseContext, ConformanceCase } from './case.ts';

const group = '16-bit';
type DType = 'f32' | 'f16';
const EVERY_MODULE = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];

/** Three slabs of the sum, ragged tiles. */
const SIZE = [70, 68, 192] as const;

/** x [T, K], in f16 a 64th of it. Sizes from 1e-3 to 1e5, which f16 does not hold. */
function input(o: Operands, dtype: DType): Tensor {
  const { T, K } = o.size;
  const { shape, data } = gridValues(5, [T, K], 1 / 3);
  const values = Float32Array.from(data, (value, i) => value * 10 ** ((i % 9) - 3));
  const stored = dtype === 'f32' ? values : values.map((value) => value / 64);
  return o.bench.floats('x', { shape, data: stored, dtype });
}

/** Holds `run` where the adapter has the variant: the kernels that others would take in its place stage nothing in f16. */
function by(
  variant: ProductVariant,
  name: string,
  run: (context: CaseContext) => Promise<void>,
): ConformanceCase {
  return {
    group,
    name: `${variant}: ${name}`,
    async run(context) {
      const { gpu } = context;
      const isHere = variant === 'tiled16' || matrixVariants(gpu).some((form) => form === variant);
      if (!isHere || !gpu.has('shader-f16')) return;
      gpu.choices.linear = variant;
      try {
        await run(context);
      } finally {
        context.gpu.choices.clear();
      }
    },
  };
}

/** What rounding to f16 costs, as a share of the largest. */
const TOLERANCE = 1e-3;

type WeightOf = (o: Operands) => Tensor;
const floats =
  (dtype: 'f16' | 'bf16'): WeightOf =>
  (o) =>
    o.make('w', [o.size.N, o.size.K], dtype);

const forward = (variant: ProductVariant, kind: string, weightOf: WeightOf, pair?: 'f32' | 'bf16') =>
  by(
    variant,
    `x wᵀ has the bits of an x in f32, weights in ${kind}, pair ${pair ?? 'none'}`,
    async ({ gpu }) => {
      const of = (dtype: DType) =>
        productValues(gpu, SIZE, (o, recorder) => {
          const { T, N } = o.size;
          const y = o.make('y', [T, N]);
          const sizes = { rows: T, weight: weightOf(o), scale: 1, accumulate: false, x: dtype };
          const lowRank = pair && { own: whole(o.make('low', [T, 8])), other: o.make('other', [N, 8], pair) };
          const added = { slice: whole(o.make('bias', [N])), isBias: true };
          launchLinear(recorder, whole(input(o, dtype)), whole(y), sizes, { lowRank, added });
          return y;
        });
      const [[expected], [found]] = [await of('f32'), await of('f16')];
      expectSameBits(found, expected, 'y');
    },
  );

const weightGradient = (variant: ProductVariant) =>
  by(variant, 'dyᵀ x of an x in f16', async ({ gpu }) => {
    const of = (dtype: DType) =>
      productValues(gpu, [70, 20, 64], (o, recorder) => {
        const { T, N, K } = o.size;
        const dw = o.make('dw', [N, K]);
        const sizes = {
          rows: T,
          weight: dw,
          scale: 0.5,
          accumulate: true,
          stored: 'bf16' as const,
          x: dtype,
        };
        const values = o.make('x', [T, K]);
        const { data } = gridValues(120, [T, K]);
        const half = Float64Array.from(data, (value) => value / 192);
        const x = dtype === 'f32' ? values : o.bench.floats('x', { shape: [T, K], data: half, dtype });
        launchLinearBackwardWeight(recorder, whole(o.make('dy', [T, N])), whole(x), sizes);
        return dw;
      });
    const [[expected], [found]] = [await of('f32'), await of('f16')];
    expectClose(found, expected, TOLERANCE, 'dw');
  });

/** dy [T, N] in f32, or in f16 4096 times of it. */
function gradientOf(o: Operands, dtype: DType): Tensor {
  const { T, N } = o.size;
  const { shape, data } = gridValues(6, [T, N], 1 / 3);
  const values = Float32Array.from(data, (value, i) => value * 10 ** (-(i % 7) - 1));
  const stored = dtype === 'f32' ? values : values.map((value) => 4096 * value);
  return o.bench.floats('dy', { shape, data: stored, dtype });
}

/** dy w with a pair, and dyᵀ x in two parts. */
const backward = (variant: ProductVariant, weightOf: WeightOf) =>
  by(variant, 'products of a dy in f16 have the bits of one in f32', async ({ gpu }) => {
    gpu.choices.splitK = 2;
    const input = (dy: DType) =>
      productValues(gpu, SIZE, (o, recorder) => {
        const { T, K } = o.size;
        const dx = o.make('dx', [T, K]);
        const sizes = { rows: T, weight: weightOf(o), scale: 1, accumulate: true, dy };
        const lowRank = { own: whole(o.make('low', [T, 8])), other: o.make('a', [8, K], 'bf16') };
        launchLinearBackwardInput(recorder, whole(gradientOf(o, dy)), whole(dx), sizes, lowRank);
        return dx;
      });
    const weight = (dy: DType) =>
      productValues(gpu, [70, 36, 64], (o, recorder) => {
        const { T, N, K } = o.size;
        const dw = o.make('dw', [N, K]);
        const sizes = { rows: T, weight: dw, scale: 0.5, accumulate: true, stored: 'bf16' as const, dy };
        launchLinearBackwardWeight(recorder, whole(gradientOf(o, dy)), whole(o.make('x', [T, K])), sizes);
        return dw;
      });
    for (const of of [input, weight]) {
      const [[expected], [found]] = [await of('f32'), await of('f16')];
      expectSameBits(found, expected, of === input ? 'dx' : 'dw');
    }
  });

const afterNorm = (variant: ProductVariant) =>
  by(variant, 'a norm before a product that is trained', async ({ gpu }) => {
    const of = async (half: boolean) => {
      const o = new Operands(gpu, [40, 68, 64]);
      const { T, N, K } = o.size;
      const leaf = (tensor: Tensor): Tensor => ({ ...tensor, requiresGrad: true });
      const x = leaf(o.make('x', [T, K]));
      const [scales, weight] = [leaf(o.make('norm', [K])), leaf(o.make('w', [N, K], 'bf16'))];
      const values = await record(gpu, (recorder) => {
        const tape = tapeFor(recorder);
        const [n] = tape.apply(rmsNorm, [x, scales], { eps: 1e-5, half });
        const [y] = tape.apply(linear, [n, weight], {});
        tape.backward(y, o.make('dy', [T, N]));
        const gradients = [x, scales, weight].map((of) => tape.gradientOf(of));
        return [y, ...gradients.filter((gradient) => gradient !== undefined)];
      });
      o.bench.free();
      return values;
    };
    const [expected, found] = [await of(false), await of(true)];
    expectSameBits(found[0], expected[0], 'y');
    // Neither gradient reads what the norm made.
    expectSameBits(found[1], expected[1], 'dx');
    expectSameBits(found[2], expected[2], 'gradient of the norm');
    expectClose(found[3], expected[3], TOLERANCE, 'dw');
  });

/** By one gated op, with weights as they may be kept in 16 bits or not, or by two products and an activation. */
const afterGate = (variant: ProductVariant, activation: Activation, kind: 'f16' | 'i8' | 'two products') =>
  by(variant, `${activation} in f16 before a product that is trained, ${kind}`, async ({ gpu }) => {
    const of = async (half: boolean) => {
      const o = new Operands(gpu, [40, 68, 64]);
      const { T, N, K } = o.size;
      const leaf = (tensor: Tensor): Tensor => ({ ...tensor, requiresGrad: true });
      const x = leaf(o.make('x', [T, K]));
      const [gate, up] = ['gate', 'up'].map((label) =>
        kind === 'i8' ? quantized(o, kind) : o.make(label, [N, K], 'f16'),
      );
      const down = leaf(o.make('down', [32, N], 'bf16'));
      const values = await record(gpu, (recorder) => {
        const tape = tapeFor(recorder);
        const attributes = { activation, half };
        const gated = () => tape.apply(gatedLinear, [x, gate, up], attributes);
        const separate = () => {
          const products = [gate, up].map((weight) => tape.apply(linear, [x, weight], {})[0]);
          return tape.apply(glu, products, attributes);
        };
        const [a] = kind === 'two products' ? separate() : gated();
        const [y] = tape.apply(linear, [a, down], {});
        tape.backward(y, o.make('dy', [T, 32]));
        const gradients = [x, down].map((tensor) => tape.gradientOf(tensor));
        return [y, ...gradients.filter((gradient) => gradient !== undefined)];
      });
      o.bench.free();
      return values;
    };
    const [expected, found] = [await of(false), await of(true)];
    expectSameBits(found[0], expected[0], 'y');
    // Which reads gate and up, and not what was made of them.
    expectSameBits(found[1], expected[1], 'dx');
    expectClose(found[2], expected[2], TOLERANCE, 'dw');
  });

const beforeOutput = (form: 'tiled' | 'matrices') =>
  by(
    form === 'tiled' ? 'tiled16' : 'matrices',
    `attention by ${form} in f16 before a product that is trained`,
    async ({ gpu }) => {
      gpu.choices.attention = form;
      const of = async (half: boolean) => {
        const o = new Operands(gpu, [40, 32, 64]);
        const layout = packedLayout(o.bench, [
          [8, 6, 6],
          [4, 9, 7],
        ]);
        const leaf = (tensor: Tensor): Tensor => ({ ...tensor, requiresGrad: true });
        const leaves = [
          leaf(o.make('q', [40, 64])),
          leaf(o.make('k', [40, 32])),
          leaf(o.make('v', [40, 32])),
        ];
        const weight = leaf(o.make('w', [32, 64], 'bf16'));
        const shape = { heads: 4, kvHeads: 2, headDim: 16 };
        const values = await record(gpu, (recorder) => {
          const tape = tapeFor(recorder);
          const [a] = tape.apply(attention, leaves, { ...shape, layout, half });
          if (half !== (a.dtype === 'f16')) throw new Error(`The result is in ${a.dtype}.`);
          const [y] = tape.apply(linear, [a, weight], {});
          tape.backward(y, o.make('dy', [40, 32]));
          const gradients = [...leaves, weight].map((tensor) => tape.gradientOf(tensor));
          return [y, ...gradients.filter((gradient) => gradient !== undefined)];
        });
        o.bench.free();
        return values;
      };
      const [expected, found] = [await of(false), await of(true)];
      expectSameBits(found[0], expected[0], 'y');
      // dq and dk read what attention made, in dy . y.
      ['dq', 'dk', 'dv', 'dw'].forEach((name, i) => {
        expectClose(found[i + 1], expected[i + 1], TOLERANCE, name);
      });
    },
  );

/** Losses and norms of gradients of three steps, LoRA on every module or every weight trained, against the plain f32 kernels. */
const trained = (lora: boolean) =>
  by(
    'plain',
    `three steps with inputs in f16 are those in f32, ${lora ? 'LoRA' : 'every weight'} trained`,
    async ({ gpu }) => {
      const of = async (linear: ProductVariant, form: 'plain' | 'matrices') => {
        Object.assign(gpu.choices, { linear, attention: form });
        const trainer = await openTrainer(gpu, {
          objective: { name: 'dpo' },
          train: randomPairs(4, 2, 3, 9),
          mode: 'in_step',
          dtype: 'bf16',
          ...(lora && { lora: { r: 4, alpha: 8, targetModules: EVERY_MODULE } }),
          training: { max_steps: 3, learning_rate: 1e-2 },
        });
        const steps = await runSteps(trainer, 3);
        trainer.free();
        for (const name of ['rewards/chosen', 'rewards/rejected'])
          if (steps[0][name] !== 0) throw new Error(`${name} of the first step is ${steps[0][name]}.`);
        return [steps.map(({ loss }) => loss), steps.map(({ grad_norm }) => grad_norm)];
      };
      const [expected, found] = [await of('plain', 'plain'), await of('matrices', 'matrices')];
      expectClose(found[0], expected[0], 5e-3, 'losses');
      expectClose(found[1], expected[1], 5e-3, 'norms of gradients');
      const [first, , last] = found[0];
      if (last > first - 0.05) throw new Error(`Nothing was learned: ${found[0]}.`);
    },
  );

/** The one that every test run takes, and every place that has 16-bit arithmetic: without it nothing stages in f16. */
export const shortHalfInputCase: ConformanceCase = {
  group,
  name: 'x wᵀ has the bits of an x in f32, by tensor cores or else by tiles in f16',
  async run(context) {
    const { profile } = context.gpu;
    if (!context.gpu.has('shader-f16')) return;
    const variant = profile.matrices === undefined ? 'tiled16' : 'matrices';
    await forward(variant, 'f16', floats('f16')).run(context);
  },
};

export const halfInputCases: readonly ConformanceCase[] = [
  ...(['tiled16', 'matrices', 'matrices_pipelined'] as const).flatMap((variant) => [
    ...(['f16', 'bf16'] as const).flatMap((dtype) => [
      forward(variant, dtype, floats(dtype)),
      forward(variant, dtype, floats(dtype), 'bf16'),
    ]),
    forward(variant, 'i8', (o) => quantized(o, 'i8'), 'f32'),
    forward(variant, 'nf4', (o) => quantized(o, 'nf4')),
  ]),
  ...(['plain', 'subgroup', 'tiled', 'tiled16', 'matrices'] as const).map(weightGradient),
  ...(['tiled16', 'matrices', 'matrices_wide'] as const).map((variant) => backward(variant, floats('f16'))),
  afterNorm('tiled16'),
  afterNorm('matrices'),
  afterGate('matrices', 'silu', 'f16'),
  afterGate('matrices', 'gelu_tanh', 'i8'),
  afterGate('tiled16', 'gelu_tanh', 'f16'),
  afterGate('tiled16', 'silu', 'two products'),
  beforeOutput('tiled'),
  beforeOutput('matrices'),
  trained(true),
  trained(false),
];
