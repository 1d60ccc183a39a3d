/** 16-bit floats on the host: exact widening, rounding to nearest even. */

export type FloatDType = 'F32' | 'F16' | 'BF16';

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Value of every f16 bit pattern; made when first needed. */
let f16Values: Float32Array | undefined;

/** Little-endian tensor bytes to f32. Exact. The result may share memory with `bytes`. */
export function decodeFloats(bytes: Uint8Array<ArrayBuffer>, dtype: FloatDType): Float32Array<ArrayBuffer> {
  const size = dtype === 'F32' ? 4 : 2;
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  if (dtype === 'F32') return new Float32Array(aligned.buffer, aligned.byteOffset, bytes.length / 4);
  const halves = new Uint16Array(aligned.buffer, aligned.byteOffset, bytes.length / 2);
  const result = new Float32Array(halves.length);
  if (dtype === 'BF16') {
    const words = new Uint32Array(result.buffer);
    for (let i = 0; i < halves.length; i++) words[i] = halves[i] << 16;
  } else {
    f16Values ??= Float32Array.from({ length: 65536 }, (_, half) => f16ToFloat(half));
    for (let i = 0; i < halves.length; i++) result[i] = f16Values[halves[i]];
  }
  return result;
}

/** f32 to little-endian tensor bytes, rounded to nearest even. For F32 the result shares memory with `values`. */
export function encodeFloats(values: Float32Array<ArrayBuffer>, dtype: FloatDType): Uint8Array<ArrayBuffer> {
  if (dtype === 'F32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  const round = dtype === 'BF16' ? bf16OfWord : f16OfWord;
  for (let i = 0; i < words.length; i++) halves[i] = round(words[i]);
  return new Uint8Array(halves.buffer);
}

/** The value of a dtype that is nearest to `value`. */
export function roundTo(value: number, dtype: FloatDType): number {
  return decodeFloats(encodeFloats(Float32Array.of(value), dtype), dtype)[0];
}

/** Value of a bf16 bit pattern. */
export function bf16ToFloat(half: number): number {
  bits[0] = half << 16;
  return float[0];
}

/** Bit pattern of the bf16 nearest to `value`. */
export function floatToBf16(value: number): number {
  float[0] = value;
  return bf16OfWord(bits[0]);
}

/** Value of an f16 bit pattern. */
export function f16ToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

/** Bit pattern of the f16 nearest to `value` (taken as f32); beyond 65519.99 it is an infinity. */
export function floatToF16(value: number): number {
  float[0] = value;
  return f16OfWord(bits[0]);
}

function bf16OfWord(word: number): number {
  // A NaN keeps a bit set in its mantissa; rounding could otherwise carry it into an infinity.
  if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40;
  return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
}

function f16OfWord(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520 is half way between the largest f16 and the next power of two.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    // 13 mantissa bits go; the exponent's bias falls from 127 to 15. A carry out of the mantissa raises the exponent.
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  // Subnormal f16 are multiples of 2^-24, which is the spacing of f32 above 0.5: the addition rounds.
  bits[0] = magnitude;
  float[0] += 0.5;
  return sign | (bits[0] - 0x3f000000);
}

/** Bits of the exponent, in one word of F32 or in both halves of a word of 16-bit values. */
const EXPONENTS = { F32: 0x7f800000, F16: 0x7c00, BF16: 0x7f80 } as const;

/** Whether no value is infinite or NaN, which are those whose exponent has all bits set. */
export function allFinite(bytes: Uint8Array<ArrayBuffer>, dtype: FloatDType): boolean {
  const mask = EXPONENTS[dtype];
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const values =
    dtype === 'F32'
      ? new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length >>> 2)
      : new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.length >>> 1);
  for (let i = 0; i < values.length; i++) if ((values[i] & mask) === mask) return false;
  return true;
}
