/** LaTeX and plain maths to tokens, in one pass. */

export interface Token {
  readonly kind: 'number' | 'letter' | 'command' | 'text' | 'mark' | 'end';
  /** A number's digits, a letter, a command's name without '\', the content of \text, or the mark itself. */
  readonly text: string;
}

const TEXT_COMMANDS = new Set(['text', 'mbox', 'textbf', 'textnormal', 'textit', 'textrm', 'hbox', 'texttt']);
/** Commands that only change the font of their argument. */
const FONT_COMMANDS = new Set([
  'mathbf',
  'mathrm',
  'mathbb',
  'mathcal',
  'mathit',
  'mathsf',
  'boldsymbol',
  'bm',
  'operatorname',
]);

/** Functions that LaTeX has no command for, or that are written with \\operatorname all the same. */
const OPERATORS = new Set(['gcd', 'lcm', 'max']);

/** Functions that plain text writes without a backslash. */
const PLAIN_COMMANDS = new Set(
  'sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh ln log exp sqrt pi theta alpha beta infty infinity'.split(
    ' ',
  ),
);
const UNITS = new Set(
  'cm mm km ft in lb lbs kg mg oz m s g hr hrs min sec mph kmh pm am mL ml sq cu units unit deg th st nd rd pct bps rpm'.split(
    ' ',
  ),
);
const WORDS = new Set([
  'or',
  'and',
  'to',
  'is',
  'the',
  'of',
  'per',
  'a',
  'an',
  'yes',
  'no',
  'odd',
  'all',
  'DNE',
]);

/** @throws SyntaxError where a brace or \begin is not closed */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const push = (kind: Token['kind'], text: string) => tokens.push({ kind, text });
  while (at < source.length) {
    const rest = source.slice(at, at + 64);
    const space = /^\s+/.exec(rest);
    const digits = /^(?:\d+(?:\.\d+)?|\.\d+)/.exec(source.slice(at, at + 400));
    const command = /^\\([a-zA-Z]+)\*?/.exec(rest);
    const letters = /^\p{L}+/u.exec(rest);
    if (space) at += space[0].length;
    else if (digits) {
      at += digits[0].length;
      // '5.' ends a sentence; '5.' before a letter or bracket is a number with nothing behind its point.
      push('number', digits[0].startsWith('.') ? `0${digits[0]}` : digits[0]);
    } else if (command) {
      at += command[0].length;
      if (TEXT_COMMANDS.has(command[1])) {
        const { inner, end } = group(source, at);
        push('text', inner);
        at = end;
      } else if (command[1] === 'begin' || command[1] === 'end') {
        const { inner, end } = group(source, at);
        push('command', `${command[1]} ${inner.replace('*', '')}`);
        at = inner === 'array' && command[1] === 'begin' ? group(source, end).end : end;
      } else if (FONT_COMMANDS.has(command[1])) {
        const { inner, end } = group(source, at);
        const isWords = /^ |^[a-zA-Z ]{2,}$/.test(inner);
        if (PLAIN_COMMANDS.has(inner) || OPERATORS.has(inner)) push('command', inner);
        else if (isWords) push('text', inner);
        else tokens.push(...tokenize(inner).slice(0, -1));
        at = end;
      } else push('command', command[1]);
    } else if (letters) {
      at += letters[0].length;
      pushLetters(letters[0], tokens);
    } else if (source.startsWith('\\\\', at)) {
      push('mark', '\\\\');
      at += 2;
    } else if (source[at] === '\\') {
      push('mark', source.slice(at + 1, at + 2) === '%' ? '%' : source.slice(at, at + 2));
      at += 2;
    } else push('mark', source[at++]);
  }
  push('end', '');
  return tokens;
}

/** A run of letters: functions and words as such, anything else as a product of variables. */
function pushLetters(run: string, tokens: Token[]): void {
  const glued = /^(arcsin|arccos|arctan|sin|cos|tan|cot|sec|csc|log|ln)([a-zA-Z]{1,2})$/.exec(run);
  if (glued && !isUnit(run)) {
    tokens.push({ kind: 'command', text: glued[1] });
    for (const letter of glued[2]) tokens.push({ kind: 'letter', text: letter });
  } else if (PLAIN_COMMANDS.has(run)) tokens.push({ kind: 'command', text: run });
  else if (run.length === 1) tokens.push({ kind: 'letter', text: run });
  else if (isWord(run)) tokens.push({ kind: 'text', text: run });
  else for (const letter of run) tokens.push({ kind: 'letter', text: letter });
}

const isUnit = (run: string): boolean => UNITS.has(run);
const isWord = (run: string): boolean =>
  isUnit(run) ||
  WORDS.has(run) ||
  (run.length >= 4 && /[aeiouyAEIOUY]/.test(run)) ||
  !/^[a-zA-Z]+$/.test(run);

/** The content of the braces (or the single character) at `at`. */
function group(source: string, at: number): { inner: string; end: number } {
  while (source[at] === ' ') at++;
  if (source[at] !== '{') return { inner: source.slice(at, at + 1), end: at + 1 };
  let depth = 0;
  for (let end = at; end < source.length; end++) {
    if (source[end] === '\\') end++;
    else if (source[end] === '{') depth++;
    else if (source[end] === '}' && --depth === 0) return { inner: source.slice(at + 1, end), end: end + 1 };
  }
  throw new SyntaxError('A brace is not closed.');
}
