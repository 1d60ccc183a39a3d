/** Values that are exact in a 16-bit dtype, use all of its mantissa and stretch over many exponents. */
import { bf16ToFloat, f16ToFloat, floatToBf16, floatToF16 } from '../../src/formats/half.ts';
import { gridValues, type HostTensor } from '../support/workbench.ts';

export function halfValues(dtype: 'f16' | 'bf16', shape: readonly number[]): HostTensor {
  const round = (x: number) => (dtype === 'f16' ? f16ToFloat(floatToF16(x)) : bf16ToFloat(floatToBf16(x)));
  const { data } = gridValues(77, shape);
  return { shape, dtype, data: Float64Array.from(data, (x, i) => round(x * Math.PI * 2 ** -(i % 8))) };
}
