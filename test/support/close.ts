/**
 * How numbers are compared in every test. Free of the test runner, so that browsers and Deno can use it.
 *
 *   max |a - b| <= tolerance * max(max |b|, 1e-3)   per tensor; b is the expected one
 */

/** What every tensor that is not all tiny is at least measured against. */
const SMALLEST_SCALE = 1e-3;

/**
 * @param shape for naming the place of a mismatch; without it the flat index is given.
 * @throws Error naming the first mismatching index with both values, how many mismatch, and the worst.
 */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  label: string,
  shape: readonly number[] = [expected.length],
): void {
  if (actual.length !== expected.length)
    throw new Error(`${label}: ${actual.length} values, ${expected.length} expected.`);
  let scale = SMALLEST_SCALE;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]));
  const limit = tolerance * scale;
  let first = -1;
  let count = 0;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i] - expected[i]);
    // Written so that a NaN on either side is a mismatch.
    if (difference <= limit) continue;
    if (first === -1) first = i;
    count++;
    worst = Number.isNaN(difference) ? Number.NaN : Math.max(worst, difference);
  }
  if (first === -1) return;
  throw new Error(
    `${label}${place(first, shape)} is ${actual[first]}, expected ${expected[first]}; ${count} of ${expected.length} values ` +
      `differ by more than ${limit.toPrecision(3)} (${tolerance} of ${scale.toPrecision(3)}), the worst by ${worst.toPrecision(3)}.`,
  );
}

/** @throws Error naming the first element whose bits differ. */
export function expectSameBits(
  actual: Float32Array,
  expected: Float32Array,
  label: string,
  shape: readonly number[] = [expected.length],
): void {
  if (actual.length !== expected.length)
    throw new Error(`${label}: ${actual.length} values, ${expected.length} expected.`);
  const [a, b] = [actual, expected].map((x) => new Uint32Array(x.buffer, x.byteOffset, x.length));
  const first = a.findIndex((bits, i) => bits !== b[i]);
  if (first !== -1)
    throw new Error(
      `${label}${place(first, shape)} is ${actual[first]}, expected the bits of ${expected[first]}.`,
    );
}

/** '[2, 5]' of a flat index. */
function place(flat: number, shape: readonly number[]): string {
  const index: number[] = [];
  let rest = flat;
  for (const size of shape.toReversed()) {
    index.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return `[${index.join(', ')}]`;
}
