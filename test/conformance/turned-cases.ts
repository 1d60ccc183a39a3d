/** Products whose epilogue turns their heads, by tiles in 16 bits and tensor cores: the bits of a product and a turn apart. */
import type { ProductVariant } from '../../src/gpu/choices.ts';
import { matrixVariants } from '../../src/ops/linear/matrix-tiles.ts';
import { expectSameBits } from '../support/close.ts';
import { runTurned, type TurnedProduct } from '../support/turned.ts';
import { gridValues } from '../support/workbench.ts';
import { quantized } from './by-matrices.ts';
import type { ConformanceCase } from './case.ts';

const stored =
  (dtype: 'f16' | 'bf16'): TurnedProduct['weightOf'] =>
  (bench, shape) =>
    bench.floats('w', { ...gridValues(2, shape), dtype });

const packed =
  (dtype: 'i8' | 'nf4'): TurnedProduct['weightOf'] =>
  (bench, [N, K]) =>
    quantized({ bench, size: { N, K } }, dtype);

function turned(
  name: string,
  product: TurnedProduct,
  variants: readonly ProductVariant[] | 'every form',
): ConformanceCase {
  return {
    group: '16-bit',
    name: `heads turned in the epilogue, ${name}`,
    async run({ gpu }) {
      try {
        for (const variant of variants === 'every form' ? matrixVariants(gpu) : variants) {
          gpu.choices.linear = variant;
          const { turned, apart, kernels } = await runTurned(gpu, product);
          if (kernels.length !== 1) throw new Error(`${variant} took ${kernels}.`);
          expectSameBits(turned, apart, `${name}, ${variant}`);
        }
      } finally {
        gpu.choices.clear();
      }
    },
  };
}

export const turnedCases: readonly ConformanceCase[] = [
  turned(
    'of 4, f16 and a bias',
    { rows: 20, heads: 18, headDim: 4, inner: 20, weightOf: stored('f16'), bias: true },
    ['tiled'],
  ),
  turned(
    'of 64, bf16 and a bias, by every form',
    { rows: 150, heads: 3, headDim: 64, inner: 172, weightOf: stored('bf16'), bias: true },
    'every form',
  ),
  turned(
    'of 96, 8 bits and a pair',
    { rows: 17, heads: 2, headDim: 96, inner: 64, weightOf: packed('i8'), pair: 'f32' },
    ['matrices'],
  ),
  turned(
    'of 128, 4 bits, a bias and a pair in bf16',
    { rows: 33, heads: 1, headDim: 128, inner: 128, weightOf: packed('nf4'), bias: true, pair: 'bf16' },
    ['tiled', 'matrices'],
  ),
  turned('of 256, f16', { rows: 20, heads: 2, headDim: 256, inner: 36, weightOf: stored('f16') }, [
    'tiled16',
    'matrices',
  ]),
];
