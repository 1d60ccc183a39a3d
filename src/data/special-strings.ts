/**
 * Finding special-token strings such as '<|eot_id|>' in text, and hiding the ones that a user typed.
 */

/** A special token and how the tokenizer treats the blanks around it. */
export interface SpecialToken {
  readonly id: number;
  readonly content: string;
  /** The token swallows blanks on its left. */
  readonly lstrip: boolean;
  /** The token swallows blanks on its right. */
  readonly rstrip: boolean;
}

/** A stretch of text: ordinary characters, or one special token. */
export type Section = { readonly text: string } | { readonly special: SpecialToken };

/** The special tokens of one tokenizer, indexed for leftmost-longest search. */
export class SpecialStrings {
  readonly tokens: readonly SpecialToken[];
  readonly #byFirst = new Map<string, SpecialToken[]>();

  constructor(tokens: readonly SpecialToken[]) {
    this.tokens = tokens.filter((token) => token.content.length > 0);
    for (const token of [...this.tokens].sort((a, b) => b.content.length - a.content.length)) {
      const first = token.content.charAt(0);
      const list = this.#byFirst.get(first);
      if (list) list.push(token);
      else this.#byFirst.set(first, [token]);
    }
  }

  /** The longest special token that begins at `at`. */
  matchAt(text: string, at: number): SpecialToken | undefined {
    return this.#byFirst.get(text.charAt(at))?.find((token) => text.startsWith(token.content, at));
  }

  /** True when the text contains a special-token string. */
  occursIn(text: string): boolean {
    return this.tokens.some((token) => text.includes(token.content));
  }

  /** Cuts text at its special tokens. Blanks they swallow are gone, and so are sections left empty. */
  split(text: string): Section[] {
    const sections: Section[] = [];
    let begin = 0;
    let eatsLeft = false;
    const plain = (end: number, eatsRight: boolean) => {
      let piece = text.slice(begin, end);
      if (eatsLeft) piece = piece.trimStart();
      if (eatsRight) piece = piece.trimEnd();
      if (piece) sections.push({ text: piece });
    };
    for (let at = 0; at < text.length; ) {
      const special = this.matchAt(text, at);
      if (!special) {
        at++;
        continue;
      }
      plain(at, special.lstrip);
      sections.push({ special });
      at += special.content.length;
      begin = at;
      eatsLeft = special.rstrip;
    }
    plain(text.length, false);
    return sections;
  }

  /**
   * Breaks every special-token string in `text` by writing `mark` behind its first character, and also breaks what
   * could become one together with template text before or behind it ('<|eot_id|' followed by '>'). Removing the
   * marks gives the text back. `mark` is one character that occurs in no special token and is no white space.
   */
  hide(text: string, mark: string): string {
    const end = text.trimEnd().length;
    const start = text.length - text.trimStart().length;
    let out = '';
    for (let at = 0; at < text.length; at++) {
      if (at === start && this.#continuesOneAt(text, at, end)) out += mark;
      out += text.charAt(at);
      if (this.matchAt(text, at) || this.#beginsOneAt(text, at, end)) out += mark;
    }
    return out;
  }

  /** True when text[at, end) is a proper beginning of a special token. */
  #beginsOneAt(text: string, at: number, end: number): boolean {
    const tokens = at < end ? this.#byFirst.get(text.charAt(at)) : undefined;
    return (
      tokens?.some(
        (token) => end - at < token.content.length && text.startsWith(token.content.slice(0, end - at), at),
      ) ?? false
    );
  }

  /** True when what stands at `at` could continue a special token: its ending, or text[at, end) from its middle. */
  #continuesOneAt(text: string, at: number, end: number): boolean {
    const whole = text.slice(at, end);
    return this.tokens.some(({ content }) => {
      for (let from = 1; from < content.length; from++) {
        if (text.startsWith(content.slice(from), at) || content.startsWith(whole, from)) return true;
      }
      return false;
    });
  }
}
