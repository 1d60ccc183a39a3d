/**
 * Products by every form of linear_matrices.wgsl that fits on the adapter, and with sizes as constants: the order of the sum is the same
 * in all, so that the bits are those of 'matrices' with sizes as data, which other cases hold against the plain kernel.
 */
import { whole } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import {
  launchLinear,
  launchLinearBackwardInput,
  launchLinearBackwardWeight,
} from '../../src/ops/linear/linear.ts';
import { type Tuned, tuneProducts } from '../../src/ops/linear/linear-tuning.ts';
import { askedProducts, noteProduct, variantOf } from '../../src/ops/linear/linear-variants.ts';
import { matrixVariants } from '../../src/ops/linear/matrix-tiles.ts';
import { expectSameBits } from '../support/close.ts';
import { gridValues, Workbench } from '../support/workbench.ts';
import { gatedValues, type Make, type Operands, productValues, quantized, withBias } from './by-matrices.ts';
import type { ConformanceCase } from './case.ts';

type Size = readonly [tokens: number, columns: number, inner: number];

/** A case whose bits do not depend on the form. */
export function inEveryForm(
  name: string,
  valuesOf: (gpu: Gpu) => Promise<readonly Float32Array[]>,
): ConformanceCase {
  return {
    group: '16-bit',
    name: `the same bits by every form: ${name}`,
    async run({ gpu }) {
      try {
        gpu.choices.linear = 'matrices';
        const expected = await valuesOf(gpu);
        for (const form of matrixVariants(gpu)) {
          gpu.choices.linear = form;
          const found = await valuesOf(gpu);
          expected.forEach((values, i) => {
            expectSameBits(found[i], values, `${form}, result ${i}`);
          });
        }
      } finally {
        gpu.choices.clear();
      }
    },
  };
}

const product = (name: string, size: Size, make: Make): ConformanceCase =>
  inEveryForm(`${name}, ${size.join(' x ')}`, (gpu) => productValues(gpu, size, make));

/** One slab of the sum or several, the last one ragged; more row blocks than a group has, the last group ragged. */
const SLAB: Size = [17, 4, 4];
const SLABS: Size = [150, 68, 172];
const GROUPS: Size = [600, 36, 20];

const tuning: ConformanceCase = {
  group: '16-bit',
  name: 'the tuner measures every form that fits, refuses none, and a checkpoint keeps what it chose',
  async run({ gpu }) {
    const bench = new Workbench(gpu);
    const weight = bench.floats('w', { ...gridValues(1, [68, 64]), dtype: 'bf16' });
    const [shard] = weight.shards;
    const shape = { orientation: 'FORWARD' as const, tokens: 70, weight, shard, stored: weight.dtype };
    askedProducts(gpu).clear();
    noteProduct(gpu, shape);
    try {
      const tuned: Tuned[] = [];
      await tuneProducts(gpu, (one) => void tuned.push(one));
      const [{ key, milliseconds, refused, winner }] = tuned;
      const measured = Object.keys(milliseconds);
      if (refused.length > 0) throw new Error(`${refused} were refused.`);
      for (const form of matrixVariants(gpu))
        if (!measured.includes(form)) throw new Error(`${form} was not measured.`);
      for (const variant of [winner, ...matrixVariants(gpu)]) {
        gpu.choices.load({ [key]: variant });
        const kept = gpu.choices.toRecord()[key];
        const taken = variantOf(gpu, shape);
        if (kept !== variant || taken !== variant)
          throw new Error(`${variant}: kept ${kept}, taken ${taken}.`);
      }
    } finally {
      gpu.choices.clear();
      bench.free();
    }
  },
};

/** x wᵀ with a LoRA pair, added to what is there. */
const addedPair: Make = (o, recorder) => {
  const { T, N, K } = o.size;
  const y = o.make('y', [T, N]);
  const lowRank = { own: whole(o.make('low', [T, 8])), other: o.make('other', [N, 8], 'bf16') };
  const sizes = { rows: T, weight: o.make('w', [N, K], 'bf16'), scale: 1, accumulate: true };
  launchLinear(recorder, whole(o.make('x', [T, K])), whole(y), sizes, { lowRank });
  return y;
};

/** dy w, added to what is there. */
const addedInput: Make = (o, recorder) => {
  const { T, N, K } = o.size;
  const dx = o.make('dx', [T, K]);
  const sizes = { rows: T, weight: o.make('w', [N, K], 'bf16'), scale: 1, accumulate: true };
  launchLinearBackwardInput(recorder, whole(o.make('dy', [T, N])), whole(dx), sizes);
  return dx;
};

/** dyᵀ x in so many partial sums. */
const inSplits =
  (splits: number): Make =>
  (o, recorder) => {
    const { T, N, K } = o.size;
    recorder.gpu.choices.splitK = splits;
    const dw = o.make('dw', [N, K]);
    const sizes = { rows: T, weight: dw, scale: 1, accumulate: splits > 1, stored: 'bf16' as const };
    launchLinearBackwardWeight(recorder, whole(o.make('dy', [T, N])), whole(o.make('x', [T, K])), sizes);
    return dw;
  };

/** Sizes are data on CPU adapters, and constants on GPUs. */
const sized = (name: string, size: Size, make: Make): ConformanceCase => ({
  group: '16-bit',
  name: `the same bits with sizes as constants: ${name}`,
  async run({ gpu }) {
    try {
      gpu.choices.linear = 'matrices';
      const found: (readonly Float32Array[])[] = [];
      for (const isSized of [false, true]) {
        gpu.choices.sizedProducts = isSized;
        found.push(await productValues(gpu, size, make));
      }
      const [expected, values] = found;
      expected.forEach((part, i) => {
        expectSameBits(values[i], part, `result ${i}`);
      });
    } finally {
      gpu.choices.clear();
    }
  },
});

export const formCases: readonly ConformanceCase[] = [
  tuning,
  sized('x wᵀ with a pair', SLABS, addedPair),
  sized('dy w', GROUPS, addedInput),
  sized('dyᵀ x in 5 splits', [150, 68, 44], inSplits(5)),
  product('x wᵀ, bf16, with a pair, added to what is there', SLABS, addedPair),
  ...[SLAB, GROUPS].map((size) => product('x wᵀ, f16, and a bias', size, withBias('f16'))),
  ...(['i8', 'nf4'] as const).map((dtype) =>
    product(`x wᵀ, ${dtype}, with a pair and a residual`, [70, 68, 128], (o, recorder) => {
      const { T, N, K } = o.size;
      const y = o.make('y', [T, N]);
      const lowRank = { own: whole(o.make('low', [T, 8])), other: o.make('other', [N, 8]) };
      const added = { slice: whole(o.make('r', [T, N])), isBias: false };
      const sizes = { rows: T, weight: quantized(o, dtype), scale: 1, accumulate: false };
      launchLinear(recorder, whole(o.make('x', [T, K])), whole(y), sizes, { lowRank, added });
      return y;
    }),
  ),
  product('dy w, bf16, added to what is there', GROUPS, addedInput),
  product('dy w, nf4, with a pair', [70, 68, 128], (o, recorder) => {
    const { T, N, K } = o.size;
    const dx = o.make('dx', [T, K]);
    const lowRank = { own: whole(o.make('low', [T, 8])), other: o.make('other', [8, K], 'f16') };
    const sizes = { rows: T, weight: quantized(o, 'nf4'), scale: 1, accumulate: false };
    launchLinearBackwardInput(recorder, whole(o.make('dy', [T, N])), whole(dx), sizes, lowRank);
    return dx;
  }),
  ...[1, 5].map((splits) => product(`dyᵀ x, ${splits} splits`, [150, 68, 44], inSplits(splits))),
  inEveryForm('silu(gate) up and its gradient, kept in f16', (gpu) =>
    gatedValues(gpu, 'silu', (o, label) => o.make(label, [68, 64], 'bf16')),
  ),
  inEveryForm('gelu(gate) up and its gradient, weights in i8', (gpu) =>
    gatedValues(gpu, 'gelu_tanh', (o: Operands) => quantized(o, 'i8')),
  ),
];
