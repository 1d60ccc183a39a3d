/**
 * Frozen weights in 8 or 4 bits, for LoRA on models that would not fit otherwise. GROUP weights along a row share a scale:
 *
 *   i8    w = scale q / 127,   q = round(127 w / scale),   scale = max |w|
 *   nf4   w = scale c[q],      c[q] the nearest of 16 quantiles of the normal distribution (QLoRA, appendix E)
 *
 * Kernels widen them in registers (kernels/linear/quantized.wgsl); products are in f32, or in f16 where 16-bit weights' are.
 */

/** Weights that share a scale: the block size of bitsandbytes' NF4. */
export const GROUP = 64;

export type QuantizedDType = 'i8' | 'nf4';

/** As in kernels/linear/quantized.wgsl. */
const NF4 = [
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
  -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
  0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
];
/** Values half way between two neighbours: where the nearest one changes. */
const NF4_BORDERS = NF4.slice(1).map((value, i) => (value + NF4[i]) / 2);

/** @param values a whole number of groups */
export function quantize(
  values: Float32Array,
  dtype: QuantizedDType,
): { packed: Uint8Array<ArrayBuffer>; scales: Float32Array<ArrayBuffer> } {
  const scales = new Float32Array(values.length / GROUP);
  const packed = new Uint8Array(dtype === 'i8' ? values.length : values.length / 2);
  for (let group = 0; group < scales.length; group++) {
    const start = group * GROUP;
    let absmax = 0;
    for (let i = start; i < start + GROUP; i++) absmax = Math.max(absmax, Math.abs(values[i]));
    // The kernel multiplies a byte by the scale, so that the 127 goes in here.
    scales[group] = dtype === 'i8' ? absmax / 127 : absmax;
    const inverse = absmax === 0 ? 0 : 1 / absmax;
    for (let i = start; i < start + GROUP; i++) {
      const share = values[i] * inverse;
      if (dtype === 'i8') packed[i] = Math.round(127 * share);
      else packed[i >> 1] |= nearestNf4(share) << (4 * (i & 1));
    }
  }
  return { packed, scales };
}

/** What the kernels make of it. */
export function dequantize(
  packed: Uint8Array,
  scales: Float32Array,
  dtype: QuantizedDType,
): Float32Array<ArrayBuffer> {
  const signed = new Int8Array(packed.buffer, packed.byteOffset, packed.length);
  return Float32Array.from({ length: scales.length * GROUP }, (_, i) => {
    const value = dtype === 'i8' ? signed[i] : NF4[(packed[i >> 1] >> (4 * (i & 1))) & 15];
    return Math.fround(value) * scales[Math.floor(i / GROUP)];
  });
}

function nearestNf4(share: number): number {
  let index = 0;
  while (index < NF4_BORDERS.length && share > NF4_BORDERS[index]) index++;
  return index;
}
