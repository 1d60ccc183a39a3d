/**
 * Tokens to text as they come. Text is handed on once it cannot change any more: a character may take several tokens, and
 * what could be the beginning of a stop string waits until it is clear that it is none.
 */
import type { Tokenizer } from '../data/tokenizer.ts';

/** What tokens that are part of a character decode to. */
const INCOMPLETE = '\uFFFD';

/** Most tokens of one character: UTF-8 has four bytes. */
const CHARACTER_TOKENS = 4;

export class TextStream {
  readonly #tokenizer: Tokenizer;
  readonly #stops: readonly string[];
  /** The tokens last handed on, without which the next ones might decode differently, and those after them. */
  #context: number[] = [];
  #pending: number[] = [];
  /** Text that may be the beginning of a stop string. */
  #held = '';
  #isStopped = false;

  /** @param stops strings that end the text; they and what follows are not part of it */
  constructor(tokenizer: Tokenizer, stops: readonly string[]) {
    this.#tokenizer = tokenizer;
    this.#stops = stops.filter((stop) => stop !== '');
  }

  /** A stop string has come. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** @returns the text that a further token makes certain */
  push(token: number): string {
    if (this.#isStopped) return '';
    this.#pending.push(token);
    const text = this.#pendingText();
    if (text.endsWith(INCOMPLETE) && this.#pending.length < CHARACTER_TOKENS) return '';
    return this.#settle(text);
  }

  /** @returns the text that was still waiting; no token will follow */
  end(): string {
    if (this.#isStopped) return '';
    const text = this.#settle(this.#pendingText()) + this.#held;
    this.#held = '';
    return text;
  }

  #pendingText(): string {
    const decode = (ids: readonly number[]) => this.#tokenizer.decode(ids, { skipSpecial: true });
    const before = decode(this.#context);
    return decode([...this.#context, ...this.#pending]).slice(before.length);
  }

  #settle(text: string): string {
    this.#context = this.#pending;
    this.#pending = [];
    const whole = this.#held + text;
    const found = this.#stops.map((stop) => whole.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.#isStopped = true;
      this.#held = '';
      return whole.slice(0, Math.min(...found));
    }
    const kept = Math.max(0, ...this.#stops.map((stop) => overlap(whole, stop)));
    this.#held = whole.slice(whole.length - kept);
    return whole.slice(0, whole.length - kept);
  }
}

/** The length of the longest end of `text` that is a beginning of `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(stop.length - 1, text.length); length > 0; length--)
    if (stop.startsWith(text.slice(text.length - length))) return length;
  return 0;
}
