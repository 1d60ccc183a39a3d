/** How things are timed: contenders take turns in one run, so that whatever disturbs the machine disturbs them alike. */
import { uniformAt } from '../src/engine.ts';

export interface Contender {
  readonly name: string;
  /** Does the work once and waits until it is done. */
  run(): Promise<void>;
}

/** Milliseconds of every round, by contender. */
export type Rounds = Readonly<Record<string, readonly number[]>>;

/** Fewest rounds where time is short: a median and what lies on either side of it. */
const FEWEST_ROUNDS = 3;

/**
 * One warm-up each, then `rounds` rounds in which every contender runs once; every second round in reverse order.
 * @param seconds - after which no round begins, once there are three
 */
export async function takeTurns(
  contenders: readonly Contender[],
  rounds: number,
  seconds = Number.POSITIVE_INFINITY,
): Promise<Rounds> {
  const begun = performance.now();
  for (const { run } of contenders) await run();
  const times: Record<string, number[]> = Object.fromEntries(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    if (round >= FEWEST_ROUNDS && performance.now() - begun > 1000 * seconds) break;
    for (const { name, run } of round % 2 === 0 ? contenders : contenders.toReversed()) {
      const start = performance.now();
      await run();
      times[name].push(performance.now() - start);
    }
  }
  return times;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export interface Ratio {
  readonly median: number;
  /** 95% bootstrap interval of the median. */
  readonly low: number;
  readonly high: number;
}

const RESAMPLES = 2000;

/** The median over rounds of a / b, with its interval; pairs of one round belong together. */
export function pairedRatio(a: readonly number[], b: readonly number[]): Ratio {
  return interval(a.map((value, i) => value / b[i]));
}

/** The median of what rounds gave, with its interval. */
export function interval(values: readonly number[]): Ratio {
  const medians = Array.from({ length: RESAMPLES }, (_, n) =>
    median(values.map((_, i) => values[Math.floor(uniformAt(23, n, i) * values.length)])),
  ).sort((x, y) => x - y);
  return {
    median: median(values),
    low: medians[Math.floor(0.025 * RESAMPLES)],
    high: medians[Math.floor(0.975 * RESAMPLES)],
  };
}
