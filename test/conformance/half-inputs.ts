/**
 * Inputs of products that are stored in f16, as tensor cores stage them: forward products give the bits that they give of the same
 * inputs in f32; gradients of weights agree to the precision of f16.
 */
import type { Tensor } from '../../src/autograd/tensor.ts';
import { whole } from '../../src/autograd/tensor.ts';
import type { ProductVariant } from '../../src/gpu/choices.ts';
import { type Activation, glu } from '../../src/ops/elementwise/glu.ts';
import { tapeFor } from '../../src/ops/index.ts';
import { gatedLinear } from '../../src/ops/linear/gated-linear.ts';
import { launchLinear, launchLinearBackwardWeight, linear } from '../../src/ops/linear/linear.ts';
import { rmsNorm } from '../../src/ops/norm/rms-norm.ts';
import { expectClose, expectSameBits } from '../support/close.ts';
import { record } from '../support/record.ts';
import { gridValues } from '../support/workbench.ts';
import { Operands, productValues, quantized } from './by-matrices.ts';
import type { CaseContext, ConformanceCase } from './case.ts';

const group = '16-bit';
type DType = 'f32' | 'f16';

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

function by(
  variant: ProductVariant,
  name: string,
  run: (context: CaseContext) => Promise<void>,
): ConformanceCase {
  return {
    group,
    name: `${variant}: ${name}`,
    async run(context) {
      context.gpu.choices.linear = variant;
      try {
        await run(context);
      } finally {
        context.gpu.choices.clear();
      }
    },
  };
}

/** To 1e-3 of the largest: what rounding to f16 costs. */
function expectRelative(found: Float32Array, expected: Float32Array, name: string): void {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const scaled = (values: Float32Array) => values.map((value) => value / largest);
  expectClose(scaled(found), scaled(expected), 1e-3, name);
}

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
    expectRelative(found, expected, 'dw');
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
    expectRelative(found[3], expected[3], 'dw');
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
    expectRelative(found[2], expected[2], 'dw');
  });

/** The one that every test run takes. */
export const shortHalfInputCase = forward('matrices', 'f16', floats('f16'));

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
  afterNorm('tiled16'),
  afterNorm('matrices'),
  afterGate('matrices', 'silu', 'f16'),
  afterGate('matrices', 'gelu_tanh', 'i8'),
  afterGate('tiled16', 'gelu_tanh', 'f16'),
  afterGate('tiled16', 'silu', 'two products'),
];
