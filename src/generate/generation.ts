/** The answer to a request: its events in order, as they come. To be read once. */
import type { GenerationEvent } from './request.ts';

export class Generation implements AsyncIterable<GenerationEvent> {
  readonly #events: GenerationEvent[] = [];
  readonly #cancelled: () => void;
  #wake: () => void = () => {};
  #isDone = false;
  #failure: unknown;

  /** @param cancelled called when nobody wants the rest */
  constructor(cancelled: () => void) {
    this.#cancelled = cancelled;
  }

  /** Ends every continuation that is still going on; each tells its end with reason 'cancelled'. */
  cancel(): void {
    this.#cancelled();
  }

  /** For the engine. */
  push(event: GenerationEvent): void {
    this.#events.push(event);
    this.#wake();
  }

  /** For the engine: no more events will come. With a failure the reader gets it thrown, after the events so far. */
  close(failure?: unknown): void {
    this.#isDone = true;
    this.#failure = failure;
    this.#wake();
  }

  /** Leaving the loop early cancels the rest. */
  async *[Symbol.asyncIterator](): AsyncGenerator<GenerationEvent> {
    try {
      for (;;) {
        const event = this.#events.shift();
        if (event !== undefined) {
          yield event;
          continue;
        }
        if (this.#isDone) break;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      this.cancel();
    }
  }
}
