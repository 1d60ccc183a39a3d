/** Intervals for shares and for the difference of two models on the same questions. */
import { uniformAt } from '../data/random.ts';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Two-sided 95%. */
const Z = 1.959963984540054;

/**
 * Wilson's score interval of a share (Wilson 1927): (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n).
 * @returns bounds within 0..1; 0 and 1 for no trials
 */
export function wilsonInterval(successes: number, trials: number): Interval {
  if (trials === 0) return { low: 0, high: 1 };
  const p = successes / trials;
  const center = p + Z ** 2 / (2 * trials);
  const spread = Z * Math.sqrt((p * (1 - p)) / trials + Z ** 2 / (4 * trials ** 2));
  const scale = 1 + Z ** 2 / trials;
  return { low: Math.max(0, (center - spread) / scale), high: Math.min(1, (center + spread) / scale) };
}

export interface PairedDifference extends Interval {
  /** mean(b) - mean(a) */
  readonly difference: number;
  /** Twice the smaller share of resamples on either side of zero, at most 1. */
  readonly pValue: number;
  readonly resamples: number;
}

/**
 * Paired bootstrap (Koehn 2004): questions are drawn with replacement, both models' results with them.
 * @param a - one number per question, 0 or 1 for wrong or right; @param b - of the other model, in the same order
 * @throws RangeError for lists of unequal or no length
 */
export function pairedBootstrap(
  a: readonly number[],
  b: readonly number[],
  { resamples = 10_000, seed = 0 } = {},
): PairedDifference {
  if (a.length !== b.length || a.length === 0)
    throw new RangeError(`A paired bootstrap needs equal lists, found ${a.length} and ${b.length}.`);
  const differences = a.map((value, i) => b[i] - value);
  const means = Array.from({ length: resamples }, (_, round) => {
    let sum = 0;
    for (let i = 0; i < differences.length; i++)
      sum += differences[Math.floor(uniformAt(seed, round, i) * differences.length)];
    return sum / differences.length;
  }).sort((x, y) => x - y);
  const below = means.filter((mean) => mean <= 0).length / resamples;
  const above = means.filter((mean) => mean >= 0).length / resamples;
  return {
    difference: mean(differences),
    low: percentile(means, 0.025),
    high: percentile(means, 0.975),
    pValue: Math.min(1, 2 * Math.min(below, above)),
    resamples,
  };
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Sample standard deviation over the square root of the count; 0 for a single value. */
export function standardError(values: readonly number[]): number {
  return values.length < 2 ? 0 : sampleDeviation(values) / Math.sqrt(values.length);
}

/** The standard deviation with n - 1 in the denominator. */
export function sampleDeviation(values: readonly number[]): number {
  const center = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - center) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1));
}

/** The value at a share of a sorted list, interpolated as numpy does. */
export function percentile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}
