/** The answer inside a text: where a solution says that it is. */
import { MAGNITUDE_SUFFIX } from './spoken-numbers.ts';

/** The parts of `text` inside \boxed{...}, with where each begins and ends. */
interface Box {
  readonly inner: string;
  readonly begin: number;
  readonly end: number;
}

/** After these words comes the answer. The last of them in a text counts. */
const MARKERS =
  /(?:answer\s+(?:is|would be|will be|should be|must be)|answer\s*[:=]|####|(?<=^|\n)[\s*_>-]{0,8}A:|final answer[^.:\n]{0,40}?(?:is|:))\s*:?\s*/gi;

const MAX_BARE_LENGTH = 120;

/**
 * The answer of a solution: in the last boxes; else behind '####', 'answer is' or 'A:'; else the text itself where it
 * is short; else the last formula, else the last number.
 * @returns undefined for a text that gives no answer
 */
export function extractAnswer(text: string): string | undefined {
  return (
    finalAnswer(text) ??
    boxedAnswer(text) ??
    markedAnswer(text) ??
    bareAnswer(text) ??
    lastValue(text) ??
    (text.trim() || undefined)
  );
}

/** What stands behind 'Final answer' where that comes after the last box. */
function finalAnswer(text: string): string | undefined {
  const behindBoxes = text.slice(text.lastIndexOf('\\boxed') + 1);
  const at = behindBoxes.search(/final answer/i);
  if (at < 0 || behindBoxes.length === text.length) return undefined;
  const answer = markedAnswer(behindBoxes.slice(at));
  return answer !== undefined && /\d/.test(answer) ? answer : undefined;
}

/** The last box; boxes with nothing but a comma or 'and' between them are one answer. */
export function boxedAnswer(text: string): string | undefined {
  const boxes = boxesOf(text);
  const last = boxes.at(-1);
  if (last === undefined) return undefined;
  const parts = [withTail(text, last)];
  for (let i = boxes.length - 2; i >= 0 && joins(text.slice(boxes[i].end, boxes[i + 1].begin)); i--)
    parts.unshift(boxes[i].inner);
  return parts.length === 1 ? parts[0] : parts.join(', ');
}

/** A percent sign may stand behind the box. */
function withTail(text: string, box: Box): string {
  const percent = /^\s*\$?\s*(?:\\?%|percent\b|pct\b)/i.test(text.slice(box.end));
  return percent && !/%|percent|pct/.test(box.inner) ? `${box.inner}\\%` : box.inner;
}

const MAX_BETWEEN_BOXES = 40;

function joins(between: string): boolean {
  if (between.length > MAX_BETWEEN_BOXES || /\n\s*\n/.test(between)) return false;
  const hasWords = /[a-z]{2}/i.test(between.replaceAll(/\\[a-z]+/gi, ' '));
  return /,|\band\b|\bor\b|\\quad/.test(between) || !hasWords;
}

function boxesOf(text: string): Box[] {
  const boxes: Box[] = [];
  const pattern = /\\(?:boxed|fbox)\s*/g;
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    const begin = match.index;
    const open = pattern.lastIndex;
    if (text[open] !== '{') {
      const word = /^[^\s$}\\]+/.exec(text.slice(open))?.[0];
      if (word) boxes.push({ inner: word, begin, end: open + word.length });
      continue;
    }
    const end = closingBrace(text, open);
    boxes.push({ inner: text.slice(open + 1, end), begin, end: end + 1 });
    pattern.lastIndex = end + 1;
  }
  return boxes;
}

/** Where the brace opened at `open` closes, or the end of the text. */
function closingBrace(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '{') depth++;
    else if (text[at] === '}' && --depth === 0) return at;
  }
  return text.length;
}

/** The text behind the last 'answer is', '####' or 'A:'. */
export function behindMarker(text: string): string | undefined {
  const last = [...text.matchAll(MARKERS)].at(-1);
  return last && text.slice(last.index + last[0].length);
}

/** What follows the last marker, up to the end of its sentence; a formula in it if there is one. */
function markedAnswer(text: string): string | undefined {
  const rest = behindMarker(text);
  if (rest === undefined) return undefined;
  const line = rest.split(/\n|\.\s|\.$|I hope it is correct/)[0].trim();
  if (line === '') return lastValue(rest);
  return bareAnswer(line) ?? lastValue(line) ?? line;
}

/** The text as it is, where it holds no prose: a formula, a number with its unit, a few words in \text. */
function bareAnswer(text: string): string | undefined {
  const bare = text.trim().replace(/\.$/, '');
  if (bare === '' || bare.length > MAX_BARE_LENGTH) return undefined;
  const formulas = bare
    .replaceAll(/(?<!\\)\$\$?((?:[^$\\]|\\[\s\S])*)\$\$?/g, '$1')
    .replaceAll(/\\[()[\]]/g, ' ');
  const prose = formulas
    .replaceAll(/\\(?:text|mbox|textbf|mathrm|textnormal|operatorname|begin|end)\s*\{[^}]*\}/g, ' ')
    .replaceAll(/\\[a-zA-Z]+/g, ' ')
    .match(/[a-zA-Z]{2,}/g);
  const words = (prose ?? []).filter((word) => !/^(?:and|or|percent|pct)$/.test(word));
  const isUnit = words.length === 1 && !/[a-zA-Z]{4,}[^a-zA-Z]*\d/.test(formulas);
  return words.length === 0 || isUnit ? formulas : undefined;
}

const FORMULAS = [
  /(?<!\\)\$\$([\s\S]+?)(?<!\\)\$\$/g,
  /\\\[([\s\S]+?)\\\]/g,
  /\\\(([\s\S]+?)\\\)/g,
  /(?<![\\$])\$(?!\$)((?:[^$]|\\\$)+?)(?<!\\)\$(?!\$)/g,
];

/** The formula that ends last, or a number in the prose behind it: 'The largest $n$ is 34'. */
function lastValue(text: string): string | undefined {
  const formula = lastFormula(text);
  if (formula === undefined) return lastNumber(text);
  const behind = text.slice(formula.end).split(/\n\s*\n/)[0];
  return lastNumber(/\bis\b|\bby\b|\bare\b|=/.test(behind) ? behind : '') ?? formula.inner;
}

interface Formula {
  readonly inner: string;
  readonly begin: number;
  readonly end: number;
}

/**
 * The formula in math delimiters that ends last, with a percent sign behind it. With others of the same unknown before it,
 * as in '$x = 1$ or $x = 2$', it is their list.
 */
function lastFormula(text: string): Formula | undefined {
  const found = FORMULAS.flatMap((pattern) => [...text.matchAll(pattern)])
    .filter(
      ([, inner]) =>
        /[\p{L}\p{N}]/u.test(inner) && !/[a-z]{3,} [a-z]{2,}/i.test(inner.replaceAll(/\\text\{[^}]*\}/g, '')),
    )
    .map((match): Formula => ({ inner: match[1], begin: match.index, end: match.index + match[0].length }))
    .sort((a, b) => a.end - b.end);
  const last = found.pop();
  if (last === undefined) return undefined;
  const isPercent = /^\s*(?:\\?%|percent|pct)/.test(text.slice(last.end));
  const values = [isPercent ? `${last.inner}\\%` : last.inner];
  let { begin } = last;
  for (let before = found.pop(); before !== undefined; before = found.pop()) {
    const areAlternatives = /^,?\s*(?:and|or)?\s*$/.test(text.slice(before.end, begin));
    if (
      !areAlternatives ||
      unknownOf(before.inner) === '' ||
      unknownOf(before.inner) !== unknownOf(last.inner)
    )
      break;
    values.unshift(before.inner);
    ({ begin } = before);
  }
  return { inner: values.join(', '), begin, end: last.end };
}

/** x of 'x = 1'. */
const unknownOf = (formula: string): string => /^\s*([a-zA-Z])\s*=/.exec(formula)?.[1] ?? '';

const DIGITS = String.raw`(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:[.,]\d+)?|\.\d+)(?:\s?\/\s?\d+)?`;
const NUMBERS = new RegExp(
  String.raw`(?<![\p{L}\d.,_^\\])[-−]?\s?[$€£]?\s?${DIGITS}(?:${MAGNITUDE_SUFFIX}|\s*\\?%|\s+percent)?(?!\p{L}{1,2}\d)`,
  'gu',
);

/** The numbers in prose, each with its sign, denominator and magnitude or percent sign. */
export const numbersIn = (text: string): string[] =>
  [...text.matchAll(NUMBERS)].map(([found]) => found.replace(/^([-−])\s?[$€£]?\s?/, '$1').trim());

const lastNumber = (text: string): string | undefined => numbersIn(text).at(-1);
