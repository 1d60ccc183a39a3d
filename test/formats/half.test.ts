import { describe, expect, it } from 'vitest';
import {
  bf16ToFloat,
  decodeFloats,
  encodeFloats,
  f16ToFloat,
  floatToBf16,
  floatToF16,
  roundTo,
} from '../../src/formats/half.ts';
import { seededRandom } from './samples.ts';

/** Finite and infinite values of a format by bit pattern, without the sign: sorted, so that neighbours are neighbours. */
const formats = [
  { name: 'f16', toFloat: f16ToFloat, toBits: floatToF16, infinity: 0x7c00, dtype: 'F16' as const },
  { name: 'bf16', toFloat: bf16ToFloat, toBits: floatToBf16, infinity: 0x7f80, dtype: 'BF16' as const },
];

describe.each(formats)('$name', ({ toFloat, toBits, infinity, dtype }) => {
  it('keeps every one of its values, with sign', () => {
    const changed: number[] = [];
    for (let magnitude = 0; magnitude <= infinity; magnitude++)
      for (const bits of [magnitude, magnitude | 0x8000])
        if (toBits(toFloat(bits)) !== bits) changed.push(bits);
    expect(changed).toEqual([]);
  });

  it('rounds to the nearest value, ties to the even one', () => {
    const step = Math.fround(1 + 2 ** -23);
    for (let bits = 0; bits < infinity - 1; bits += 7) {
      // Sums of two neighbours have few bits, so that half of them is exact in f32.
      const middle = (toFloat(bits) + toFloat(bits + 1)) / 2;
      const even = bits % 2 === 0 ? bits : bits + 1;
      expect(toBits(middle)).toBe(even);
      expect(toBits(-middle)).toBe(even | 0x8000);
      if (middle < 2 ** -126) continue;
      expect(toBits(middle * step)).toBe(bits + 1);
      expect(toBits(middle / step)).toBe(bits);
    }
  });

  it('knows infinities and NaN, and overflows to infinity half way beyond its largest value', () => {
    expect(toBits(Number.POSITIVE_INFINITY)).toBe(infinity);
    expect(toBits(Number.NEGATIVE_INFINITY)).toBe(infinity | 0x8000);
    expect(toFloat(infinity | 0x8000)).toBe(Number.NEGATIVE_INFINITY);
    expect(toFloat(toBits(Number.NaN))).toBeNaN();
    const largest = toFloat(infinity - 1);
    const limit = largest + (largest - toFloat(infinity - 2)) / 2;
    expect(toBits(limit)).toBe(infinity);
    expect(toBits(limit * (1 - 2 ** -23))).toBe(infinity - 1);
  });

  it('converts arrays like single values, from any byte offset', () => {
    const random = seededRandom(3);
    const values = Float32Array.from({ length: 500 }, () => (random() - 0.5) * 10 ** (random() * 12 - 8));
    const bytes = encodeFloats(values.subarray(1), dtype);
    expect([...new Uint16Array(bytes.buffer)]).toEqual([...values.subarray(1)].map(toBits));
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    const back = decodeFloats(shifted.subarray(1), dtype);
    expect([...back]).toEqual([...values.subarray(1)].map((v) => toFloat(toBits(v))));
  });
});

it('f16 has the bit patterns of the standard', () => {
  const known: [number, number][] = [
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [2 ** -14, 0x0400],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000],
    [-0, 0x8000],
    [1 / 3, 0x3555],
  ];
  for (const [value, bits] of known) expect(floatToF16(value)).toBe(bits);
});

it('no NaN becomes an infinity, whatever its mantissa', () => {
  const words = new Uint32Array([0x7f800001, 0xff800001, 0x7fffffff, 0x7f80ffff]);
  const nans = new Float32Array(words.buffer);
  for (const dtype of ['F16', 'BF16'] as const)
    for (const v of decodeFloats(encodeFloats(nans, dtype), dtype)) expect(v).toBeNaN();
});

it('F32 passes through', () => {
  const values = new Float32Array([1.5, -0, Number.MIN_VALUE, 3e38]);
  expect(decodeFloats(encodeFloats(values.subarray(1), 'F32'), 'F32')).toEqual(values.subarray(1));
});

describe('one number', () => {
  it("is rounded to a dtype: Gemma's sqrt(3584) is 59.75 in bf16", () => {
    expect(roundTo(Math.sqrt(3584), 'BF16')).toBe(59.75);
    expect(roundTo(Math.sqrt(3584), 'F16')).toBe(59.875);
    expect(roundTo(Math.sqrt(3584), 'F32')).toBe(Math.fround(Math.sqrt(3584)));
  });
});
