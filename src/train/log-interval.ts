/** The mean of what steps report between two lines of the log. Part of a checkpoint, so that a resumed run logs the same means. */
import type { Metrics } from './hooks.ts';

/** Sums and counts by metric: not every metric comes with every step. */
export type IntervalState = Readonly<Record<string, readonly [sum: number, steps: number]>>;

/** What is a place in the run, not a quantity of its steps: the last value is logged. */
const LAST = new Set(['learning_rate', 'epoch', 'num_tokens']);

export class LogInterval {
  #sums = new Map<string, readonly [number, number]>();

  constructor(state: IntervalState = {}) {
    this.#sums = new Map(Object.entries(state));
  }

  add(metrics: Metrics): void {
    for (const [name, value] of Object.entries(metrics)) {
      const [sum, steps] = LAST.has(name) ? [0, 0] : (this.#sums.get(name) ?? [0, 0]);
      this.#sums.set(name, [sum + value, steps + 1]);
    }
  }

  /** The means since the last call. */
  take(): Metrics {
    const means = Object.fromEntries([...this.#sums].map(([name, [sum, steps]]) => [name, sum / steps]));
    this.#sums.clear();
    return means;
  }

  get state(): IntervalState {
    return Object.fromEntries(this.#sums);
  }
}
