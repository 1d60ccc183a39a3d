/** What JSON.parse lets through: nesting that exhausts the stack of whoever walks over the value, and keys given twice. */

/** Deeper than any file of a model or any row. */
const MOST_LEVELS = 500;

/** @returns what is wrong with the nesting of `text`; undefined where nothing is */
export function nestingProblem(text: string): string | undefined {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at);
        break;
      case OPEN_BRACE:
      case OPEN_BRACKET:
        if (++depth > MOST_LEVELS) return `it is nested deeper than ${MOST_LEVELS} levels`;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        depth--;
    }
  }
  return undefined;
}

/** The first key that a JSON object has twice on its top level. */
export function repeatedKey(text: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++;
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--;
    if (code !== QUOTE) continue;
    const end = endOfString(text, at);
    if (depth === 1 && /^\s*:/.test(text.slice(end + 1, end + 20))) {
      const key = JSON.parse(text.slice(at, end + 1)) as string;
      if (seen.has(key)) return key;
      seen.add(key);
    }
    at = end;
  }
  return undefined;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** Place of the quote that ends the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}
