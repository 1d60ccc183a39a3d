/** Throughput and time left, from the steps since this process began; time and tokens of the whole run. */
export class Clock {
  readonly #start = performance.now();
  readonly #first: number;
  readonly #total: number;
  readonly #secondsBefore: number;
  #step: number;
  #tokens = 0;
  #lap: { readonly time: number; readonly tokens: number } = { time: this.#start, tokens: 0 };

  /** @param first steps that are done already, in so many seconds; @param total steps of the whole run */
  constructor(first: number, total: number, secondsBefore = 0) {
    this.#first = first;
    this.#step = first;
    this.#total = total;
    this.#secondsBefore = secondsBefore;
  }

  /** Notes that step `step` (1-based) is done, which had so many tokens. */
  done(step: number, tokens: number): void {
    this.#step = step;
    this.#tokens += tokens;
  }

  /** Seconds of training so far, and the tokens per second since the last lap. */
  lap(): { readonly seconds: number; readonly tokens_per_second: number } {
    const before = this.#lap;
    this.#lap = { time: performance.now(), tokens: this.#tokens };
    const seconds = Math.max(1e-3, (this.#lap.time - before.time) / 1000);
    return { seconds: this.seconds, tokens_per_second: (this.#tokens - before.tokens) / seconds };
  }

  /** Of training, with those before the run was resumed. */
  get seconds(): number {
    return this.#secondsBefore + this.#seconds;
  }

  get tokensPerSecond(): number {
    return this.#tokens / this.#seconds;
  }

  get secondsLeft(): number {
    return (this.#seconds / Math.max(1, this.#step - this.#first)) * (this.#total - this.#step);
  }

  get #seconds(): number {
    return Math.max(1e-3, (performance.now() - this.#start) / 1000);
  }
}
