/**
 * Where a method learns, if it has a reference: pairs sorted by the reference's K into five parts, and in each the mean gain of the policy's
 * difference of mean log-probs over the reference's (MIPO, Figures 4 and 7). A policy that starts as its reference
 * starts at 0.
 */

/** Of one pair: the reference's and the policy's difference of mean log-probs. */
export interface PairGap {
  readonly K: number;
  readonly gap: number;
}

/** `mipo/quintile_1` (smallest K) to `mipo/quintile_5`; nothing for fewer than five pairs. */
export function quintileGains(pairs: readonly PairGap[]): Record<string, number> {
  if (pairs.length < 5) return {};
  const sorted = [...pairs].sort((a, b) => a.K - b.K);
  return Object.fromEntries(
    [0, 1, 2, 3, 4].map((n) => {
      const [start, end] = [n, n + 1].map((k) => Math.round((k * sorted.length) / 5));
      const part = sorted.slice(start, end);
      return [`mipo/quintile_${n + 1}`, part.reduce((sum, { K, gap }) => sum + gap - K, 0) / part.length];
    }),
  );
}
