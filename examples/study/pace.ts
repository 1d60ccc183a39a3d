/** How much a study has to do, and how long what is left of it takes at the speed measured so far. */
import type { Size } from './plan.ts';

/** Pairs that are trained on, every epoch and run, and problems that models answer. */
export interface Work {
  readonly pairs: number;
  readonly answers: number;
}

/** The base model's test and the comparison with its sweeps: what comes after the pairs. @param pairs - pairs of one run */
export function workOf(size: Size, pairs: number): Work {
  const { methods, learningRates, seeds, shares, deltas, epochs } = size;
  const sweeps = shares.length + deltas.length;
  // The first seed's run is one of the search.
  const runs = methods.length * (learningRates.length + seeds.length - 1) + sweeps;
  const tested = methods.length * seeds.length + sweeps;
  return {
    pairs: runs * epochs * pairs,
    answers: methods.length * learningRates.length * size.validation + (1 + tested) * size.test,
  };
}

/** Work that is done, and the seconds that this process took for its own part of it. */
export class Pace {
  #work: Work | undefined;
  #done = { pairs: 0, answers: 0 };
  readonly #timed = { pairs: 0, answers: 0 };
  readonly #seconds = { pairs: 0, answers: 0 };

  /** Counts from here on towards `work`; speeds that have been measured stay. */
  plan(work: Work): void {
    this.#work = work;
    this.#done = { pairs: 0, answers: 0 };
  }

  /** @param seconds - undefined for work that a process before this one has done */
  add(kind: keyof Work, count: number, seconds?: number): void {
    this.#done[kind] += count;
    if (seconds === undefined) return;
    this.#timed[kind] += count;
    this.#seconds[kind] += seconds;
  }

  /** Seconds for one; undefined before the first one has been timed. */
  secondsPer(kind: keyof Work): number | undefined {
    return this.#timed[kind] === 0 ? undefined : this.#seconds[kind] / this.#timed[kind];
  }

  /** Seconds for what is left; undefined while there is no plan or a speed is not known. */
  get secondsLeft(): number | undefined {
    const [pairs, answers] = [this.#secondsLeft('pairs'), this.#secondsLeft('answers')];
    return pairs === undefined || answers === undefined ? undefined : pairs + answers;
  }

  #secondsLeft(kind: keyof Work): number | undefined {
    const each = this.secondsPer(kind);
    if (this.#work === undefined || each === undefined) return undefined;
    return Math.max(0, this.#work[kind] - this.#done[kind]) * each;
  }
}
