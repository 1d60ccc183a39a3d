/** Intervals against values computed by hand or published. */
import { describe, expect, it } from 'vitest';
import {
  pairedBootstrap,
  percentile,
  sampleDeviation,
  standardError,
  wilsonInterval,
} from '../../src/evaluate/statistics.ts';

describe("Wilson's interval", () => {
  it('of 8 in 10 is 0.4902 to 0.9433', () => {
    const { low, high } = wilsonInterval(8, 10);
    expect(low).toBeCloseTo(0.4901625, 6);
    expect(high).toBeCloseTo(0.9433178, 6);
  });

  it('of none right begins at 0 and says more than 0 to 0', () => {
    const { low, high } = wilsonInterval(0, 20);
    expect(low).toBe(0);
    expect(high).toBeCloseTo(0.1611, 4);
  });
});

describe('the paired bootstrap', () => {
  const alternating = Array.from({ length: 40 }, (_, i) => i % 2);

  it('finds no difference between equal models', () => {
    const { difference, low, high, pValue } = pairedBootstrap(alternating, alternating, { resamples: 200 });
    expect([difference, low, high, pValue]).toEqual([0, 0, 0, 1]);
  });

  it('is narrow where one model is right on the same questions and a few more', () => {
    const better = alternating.map((value, i) => (i < 20 ? 1 : value));
    const paired = pairedBootstrap(alternating, better, { resamples: 1000 });
    expect(paired.difference).toBeCloseTo(0.25, 12);
    expect(paired.low).toBeGreaterThan(0.1);
    expect(paired.high).toBeLessThan(0.45);
    expect(paired.pValue).toBeLessThan(0.01);
  });

  it('is the same for the same seed', () => {
    const b = alternating.map((value, i) => (i % 7 === 0 ? 1 - value : value));
    expect(pairedBootstrap(alternating, b, { resamples: 300, seed: 3 })).toEqual(
      pairedBootstrap(alternating, b, { resamples: 300, seed: 3 }),
    );
  });

  it('refuses lists of different questions', () => {
    expect(() => pairedBootstrap([1], [1, 0])).toThrow(RangeError);
  });
});

it('deviation, standard error and percentiles are those of numpy with ddof=1', () => {
  expect(sampleDeviation([1, 2, 4])).toBeCloseTo(1.5275252, 7);
  expect(standardError([1, 2, 4])).toBeCloseTo(0.8819171, 7);
  expect(percentile([1, 2, 4, 8], 0.9)).toBeCloseTo(6.8, 12);
});
