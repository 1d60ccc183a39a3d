/** Cases whose numbers by tensor cores, where the adapter has them, are those of the plain f32 kernels. */
import { allocateTensor, type Tensor, upload, whole } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import type { Recorder } from '../../src/gpu/program.ts';
import { quantize } from '../../src/models/loading/quantize.ts';
import { type AttentionShape, attention } from '../../src/ops/attention/attention.ts';
import type { GluAttributes } from '../../src/ops/elementwise/glu.ts';
import { tapeFor } from '../../src/ops/index.ts';
import { gatedLinear } from '../../src/ops/linear/gated-linear.ts';
import { launchLinear } from '../../src/ops/linear/linear.ts';
import { packedLayout } from '../ops/packed-layout.ts';
import { runOp } from '../support/check-op.ts';
import { expectClose } from '../support/close.ts';
import { record } from '../support/record.ts';
import { gridValues, Workbench } from '../support/workbench.ts';
import type { ConformanceCase } from './case.ts';

const group = '16-bit';

/** Rounding of both operands to f16, as a share of the largest result. */
const TOLERANCE = 2e-3;

/** Operands of a product of T tokens with a weight [N, K] and a LoRA pair of rank R; values that f16 cannot hold. */
export class Operands {
  readonly bench: Workbench;
  readonly size: { readonly T: number; readonly N: number; readonly K: number };
  constructor(gpu: Gpu, [T, N, K]: readonly [number, number, number]) {
    this.bench = new Workbench(gpu);
    this.size = { T, N, K };
  }

  make(label: string, shape: readonly number[], dtype: 'f32' | 'f16' | 'bf16' = 'f32'): Tensor {
    const seed = [...label].reduce((sum, letter) => sum + letter.charCodeAt(0), 0);
    const { data } = gridValues(seed, shape);
    const values = dtype === 'f32' ? Float32Array.from(data, (value) => value / 3) : data;
    return this.bench.floats(label, { shape, data: values, dtype });
  }
}

export type Make = (operands: Operands, recorder: Recorder) => Tensor;

/** x wᵀ / 2 + bias. */
export const withBias =
  (dtype: 'f16' | 'bf16'): Make =>
  (o, recorder) => {
    const { T, N, K } = o.size;
    const y = o.make('y', [T, N]);
    const added = { slice: whole(o.make('bias', [N])), isBias: true };
    const sizes = { rows: T, weight: o.make('w', [N, K], dtype), scale: 0.5, accumulate: false };
    launchLinear(recorder, whole(o.make('x', [T, K])), whole(y), sizes, { added });
    return y;
  };

export function product(name: string, shape: readonly [number, number, number], make: Make): ConformanceCase {
  return {
    group,
    name,
    run: ({ gpu }) => sameByMatrices(gpu, name, () => productValues(gpu, shape, make)),
  };
}

/** What `make` makes of operands of that size. */
export async function productValues(
  gpu: Gpu,
  shape: readonly [number, number, number],
  make: Make,
): Promise<readonly Float32Array[]> {
  const operands = new Operands(gpu, shape);
  const values = await record(gpu, (recorder) => [make(operands, recorder)]);
  operands.bench.free();
  return values;
}

/** A weight [N, K] in 8 or 4 bits, K a multiple of 64. */
export function quantized(
  {
    bench,
    size: { N, K },
  }: { readonly bench: Workbench; readonly size: { readonly N: number; readonly K: number } },
  dtype: 'i8' | 'nf4',
): Tensor {
  const { gpu } = bench;
  const { packed, scales } = quantize(Float32Array.from(gridValues(7, [N, K]).data), dtype);
  const scaleTensor = allocateTensor(gpu, 'scales', [N, K / 64], 'f32', 'weights');
  const weight = { ...allocateTensor(gpu, 'w', [N, K], dtype, 'weights'), scales: scaleTensor };
  upload(gpu, weight, packed);
  upload(gpu, scaleTensor, scales);
  for (const tensor of [weight, scaleTensor]) bench.adopt(tensor);
  return weight;
}

/** Throws where numbers differ by more than rounding both operands to f16 explains. */
export function expectNear(found: Float32Array, expected: Float32Array, label: string): void {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const scaled = (of: Float32Array) => of.map((value) => value / largest);
  expectClose(scaled(found), scaled(expected), TOLERANCE, label);
}

/** Runs `make` by the plain kernels and by tensor cores, and compares each of its results. */
export async function sameByMatrices(
  gpu: Gpu,
  name: string,
  make: () => Promise<readonly Float32Array[]>,
): Promise<void> {
  const by = (variant: 'plain' | 'matrices') => {
    Object.assign(gpu.choices, { linear: variant, attention: variant });
    return make();
  };
  try {
    const expected = await by('plain');
    const found = await by('matrices');
    expected.forEach((values, i) => {
      expectNear(found[i], values, `${name}, result ${i}`);
    });
  } finally {
    gpu.choices.clear();
  }
}

/**
 * Attention and its three gradients over two documents with two answers each, more than one tile of either side; two heads
 * share keys and values.
 */
export function attended(
  name: string,
  shape: Omit<AttentionShape, 'heads' | 'kvHeads'>,
  size = 1,
): ConformanceCase {
  return {
    group,
    name,
    async run({ gpu }) {
      await sameByMatrices(gpu, name, async () => {
        const bench = new Workbench(gpu);
        const layout = packedLayout(bench, [
          [10, 9, 12],
          [7, 20, 11],
        ]);
        const [tokens, width] = [69, shape.headDim];
        const inputs = [2, 1, 1].map((heads, i) => gridValues(i + 1, [tokens, heads * width], size));
        const { outputs, gradients } = await runOp(
          bench,
          attention,
          inputs,
          { heads: 2, kvHeads: 1, layout, ...shape },
          'inner',
          [0, 1, 2],
          gridValues(4, [tokens, 2 * width]),
        );
        bench.free();
        return [...outputs, ...gradients.filter((gradient) => gradient !== undefined)];
      });
    },
  };
}

type WeightOf = (operands: Operands, label: string) => Tensor;

/** A gated product and the gradient of its input; without tensor cores it is two products and the activation of one. */
export function gated(
  name: string,
  activation: GluAttributes['activation'],
  weightOf: WeightOf,
): ConformanceCase {
  return {
    group,
    name,
    run: ({ gpu }) => sameByMatrices(gpu, name, () => gatedValues(gpu, activation, weightOf)),
  };
}

/** y and dx of a gated product of 40 tokens. */
export async function gatedValues(
  gpu: Gpu,
  activation: GluAttributes['activation'],
  weightOf: WeightOf,
): Promise<readonly Float32Array[]> {
  const probe = new Operands(gpu, [40, 68, 64]);
  const [gate, up] = ['gate', 'up'].map((label) => weightOf(probe, label));
  const x = probe.make('x', [40, gate.shape[1]]);
  const values = await record(gpu, (recorder) => {
    const tape = tapeFor(recorder);
    const leaf = { ...x, requiresGrad: true };
    const [y] = tape.apply(gatedLinear, [leaf, gate, up], { activation });
    tape.backward(y, probe.make('dy', y.shape));
    const dx = tape.gradientOf(leaf);
    if (dx === undefined) throw new Error('The input has no gradient.');
    return [y, dx];
  });
  probe.bench.free();
  return values;
}
