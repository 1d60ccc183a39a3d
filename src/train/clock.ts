/** Throughput and time left, from the steps since this process began. */
export class Clock {
  readonly #start = Date.now();
  readonly #first: number;
  readonly #total: number;
  #step: number;
  #tokens = 0;

  /** @param first steps that are done already; @param total steps of the whole run */
  constructor(first: number, total: number) {
    this.#first = first;
    this.#step = first;
    this.#total = total;
  }

  /** Notes that step `step` (1-based) is done, which had so many tokens. */
  done(step: number, tokens: number): void {
    this.#step = step;
    this.#tokens += tokens;
  }

  get tokensPerSecond(): number {
    return this.#tokens / this.#seconds;
  }

  get secondsLeft(): number {
    return (this.#seconds / Math.max(1, this.#step - this.#first)) * (this.#total - this.#step);
  }

  get #seconds(): number {
    return Math.max(1e-3, (Date.now() - this.#start) / 1000);
  }
}
