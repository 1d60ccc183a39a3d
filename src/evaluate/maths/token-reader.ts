/** A place in a list of tokens that only moves forward. */
import type { Token } from './tokens.ts';

/** Deeper brackets are no answer; the limit keeps the call stack small. */
const MAX_DEPTH = 64;
const END: Token = { kind: 'end', text: '' };

export class TokenReader {
  readonly #tokens: Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: Token[]) {
    this.#tokens = tokens;
  }

  protected get next(): Token {
    return this.ahead(0);
  }

  protected ahead(count: number): Token {
    return this.#tokens[this.#at + count] ?? END;
  }

  /** The next token, which is then behind. */
  protected advance(): Token {
    const token = this.next;
    this.#at++;
    return token;
  }

  /** Whether the next token is this mark or command. */
  protected is(text: string): boolean {
    return isOperator(this.next) && this.next.text === text;
  }

  protected take(text: string): boolean {
    if (!this.is(text)) return false;
    this.#at++;
    return true;
  }

  protected expect(text: string): void {
    if (!this.take(text)) throw new SyntaxError(`Expected '${text}', found '${this.next.text}'.`);
  }

  /** The entry of `table` for the next token, if it is an operator of that table. */
  protected operator<T>(table: Readonly<Record<string, T>>): T | undefined {
    return isOperator(this.next) && Object.hasOwn(table, this.next.text) ? table[this.next.text] : undefined;
  }

  /** Makes a number's first digit a token of its own: \frac13 is a third. */
  protected splitDigit(): void {
    const { kind, text } = this.next;
    if (kind !== 'number' || text.length === 1) return;
    this.#tokens.splice(this.#at, 1, { kind, text: text[0] }, { kind, text: text.slice(1) });
  }

  /** Goes one level deeper; `leave` comes back. */
  protected enter(): void {
    if (++this.#depth > MAX_DEPTH) throw new SyntaxError('Too many brackets inside each other.');
  }

  protected leave(): void {
    this.#depth--;
  }
}

const isOperator = ({ kind }: Token): boolean => kind === 'mark' || kind === 'command';
