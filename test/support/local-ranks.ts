/** Ranks of one job as functions of this process: what they compute together is tested without mpirun, on one device. */
import { ONE_RANK, type Ranks } from '../../src/runtime/ranks.ts';

/** Where every rank lays down what it gives, and finds what the others gave. */
class Table<T> {
  readonly #size: number;
  #given: T[] = [];
  #count = 0;
  #wake: (all: readonly T[]) => void = () => {};
  #all = this.#next();

  constructor(size: number) {
    this.#size = size;
  }

  async exchange(rank: number, value: T): Promise<readonly T[]> {
    const all = this.#all;
    this.#given[rank] = value;
    if (++this.#count === this.#size) {
      const given = this.#given;
      [this.#given, this.#count] = [[], 0];
      const wake = this.#wake;
      this.#all = this.#next();
      wake(given);
    }
    return all;
  }

  #next(): Promise<readonly T[]> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** The ranks of a job. Each must make its exchanges while the others make theirs. */
export function localRanks(size: number): Ranks[] {
  const bytes = new Table<Uint8Array<ArrayBuffer>>(size);
  const floats = new Table<Float32Array<ArrayBuffer>>(size);
  return Array.from({ length: size }, (_, rank) => ({
    ...ONE_RANK,
    rank,
    size,
    localRank: rank,
    async allGather(own) {
      return (await bytes.exchange(rank, own.slice())).map((given) => given.slice());
    },
    async allGatherInto(own, into) {
      for (const [i, given] of (await bytes.exchange(rank, own.slice())).entries())
        into.set(given, i * own.length);
    },
    async allReduceSum(values, sums) {
      const all = await floats.exchange(rank, values.slice());
      sums.set(all.reduce((total, given) => total.map((sum, i) => sum + given[i])));
    },
  }));
}

/** Runs `body` as every rank of a job. @returns what each gave */
export function asRanks<T>(size: number, body: (ranks: Ranks) => Promise<T>): Promise<T[]> {
  return Promise.all(localRanks(size).map(body));
}
