/** Means with intervals, and lists in equal parts. */
import { mean, standardError } from '../evaluate/statistics.ts';

const Z = 1.959963984540054;

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** The mean with its 95% interval, mean ± 1.96 standard errors. */
export function meanPoint(x: number | string, values: readonly number[]) {
  const y = mean(values);
  const spread = Z * standardError(values);
  return { x, y, low: y - spread, high: y + spread };
}

/** A sorted list in `count` parts whose sizes differ by at most one; empty ones are left out. */
export function equalParts<T>(sorted: readonly T[], count: number): readonly (readonly T[])[] {
  const edge = (n: number) => Math.round((n * sorted.length) / count);
  return Array.from({ length: count }, (_, n) => sorted.slice(edge(n), edge(n + 1))).filter(
    (part) => part.length > 0,
  );
}

/** Values by key, in the order in which keys come. */
export function groupBy<T, K>(values: Iterable<T>, keyOf: (value: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [value]);
    else group.push(value);
  }
  return groups;
}
