/** 16-bit floats on the host: exact widening, rounding to nearest even. Values travel as u16 bit patterns. */

export type FloatDType = 'F32' | 'F16' | 'BF16';

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/** Little-endian tensor bytes to f32. Exact. */
export function widen(bytes: Uint8Array, dtype: FloatDType): Float32Array<ArrayBuffer> {
  const copy = bytes.slice().buffer;
  if (dtype === 'F32') return new Float32Array(copy);
  const halves = new Uint16Array(copy);
  const toFloat = dtype === 'BF16' ? bf16ToFloat : f16ToFloat;
  return Float32Array.from(halves, toFloat);
}

/** f32 to little-endian tensor bytes, rounded to nearest even. */
export function narrow(values: Float32Array, dtype: FloatDType): Uint8Array<ArrayBuffer> {
  if (dtype === 'F32') return new Uint8Array(values.slice().buffer);
  const toBits = dtype === 'BF16' ? floatToBf16 : floatToF16;
  return new Uint8Array(Uint16Array.from(values, toBits).buffer);
}

export function bf16ToFloat(half: number): number {
  bits[0] = half << 16;
  return float[0];
}

export function floatToBf16(value: number): number {
  float[0] = value;
  const word = bits[0];
  // A NaN keeps a bit set in its mantissa; rounding could otherwise carry it into an infinity.
  if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40;
  return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff;
}

export function f16ToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

export function floatToF16(value: number): number {
  float[0] = value;
  const word = bits[0];
  const sign = (word >>> 16) & 0x8000;
  const magnitude = Math.abs(float[0]);
  if (Number.isNaN(magnitude)) return sign | 0x7e00;
  // 65520 is half way between the largest f16 and the next power of two.
  if (magnitude >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude || 2 ** -24)));
  const unit = 2 ** (exponent - 10);
  const steps = roundToEven(magnitude / unit);
  return sign | (exponent === -14 ? steps : ((exponent + 15) << 10) + steps - 1024);
}

function roundToEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest < 0.5 || (rest === 0.5 && low % 2 === 0)) return low;
  return low + 1;
}
