/** Word problems whose answer is one number: GSM8K, MAWPS, SVAMP. Signs of currency and the calculator's notes are no maths. */
import { behindMarker, boxedAnswer, numbersIn } from './extract.ts';
import type { MathsGrade } from './grade.ts';
import { magnitudeOf, withDigits } from './spoken-numbers.ts';

/** Differences that rounding to a few decimals makes; whole numbers must be exact. */
const RELATIVE_TOLERANCE = 1e-4;

/**
 * @param gold - a solution that ends in '#### 18' or 'A: 18', or the number alone
 * @param prediction - the whole text of the answer
 */
export function gradeNumber(gold: string, prediction: string): MathsGrade {
  const right = finalNumber(gold);
  const answer = finalNumber(prediction);
  const [golds, given] = [right, answer].map(readingsOf);
  const correct = golds.some((x) => given.some((y) => isSameNumber(x, y)));
  return { gold: right ?? gold, answer, correct };
}

/** The number in the last box, else the first one behind '####', 'answer is' or 'A:', else the last one, in bold if one there is. */
export function finalNumber(text: string): string | undefined {
  const readable = withoutNextQuestion(withoutHeadings(text).replaceAll(NOT_MATHS, ''));
  const bold = /\*\*([^*\n]*\d[^*\n]*)\*\*[^*\n]*\s*$/.exec(readable)?.[1];
  const plain = withPlainFractions(readable.replaceAll('**', ''));
  const boxed = boxedAnswer(plain);
  const marked = behindMarker(plain);
  return (
    (boxed === undefined ? undefined : claimedNumber(boxed)) ??
    (marked === undefined ? undefined : claimedNumber(marked)) ??
    (bold === undefined ? undefined : claimedNumber(withPlainFractions(bold))) ??
    numbersIn(plain).at(-1) ??
    numbersIn(withDigits(plain)).at(-1)
  );
}

/** The calculator's notes of GSM8K, and signs and letters of currency. */
const NOT_MATHS = /<<[^<>]*>>|\\[$,!]|\b(?:Rs\.?|USD|EUR|GBP)\s?(?=\d)/g;

/** '#### Step 2: ...' and '#### 2. Add' are Markdown's headings, '#### 18' is an answer. */
const withoutHeadings = (text: string): string =>
  text.replaceAll(/####[ \t]*(?:(?=[*_]*\p{L})|\d+[.)][ \t]+(?=\S))/gu, '');

/** A base model may go on with a question of its own: what it answers to that does not count. */
function withoutNextQuestion(text: string): string {
  const next = /\n[#\s]*(?:Q|Question|Instruction)\s*:/.exec(text);
  if (next === null) return text;
  const before = text.slice(0, next.index);
  return behindMarker(before) === undefined && boxedAnswer(before) === undefined ? text : before;
}

/** 18 of '6 * 3, which is 18', but not of '6, which is 18 less than 24'. */
const COMPUTED = /^.*?\d\s?(?:[-−+*/×÷]|\\times|x(?=\s?\$?\d))\s?\$?\d[^=]*\bwhich (?:is|equals|gives)\b/;

/** Of '6 * 3 = 18' it is 18, of '18 eggs for 3 days' and '18, because 6 * 3 = 18 and 9 > 3' it is 18 too. */
function claimedNumber(claim: string): string | undefined {
  const line = claim.split('\n').find((text) => text.trim() !== '') ?? '';
  const [sentence] = line.split(/[.!?](?:\s|$)|,?\s(?:because|since|as|where|if|when|after)\s|\s\(/);
  const value = sentence.split('=').at(-1)?.replace(COMPUTED, '') ?? sentence;
  return numbersIn(value)[0] ?? numbersIn(line)[0] ?? numbersIn(withDigits(sentence))[0];
}

/** Fractions and mixed numbers as numerator/denominator, 1{,}200 and 1\ 200 as 1,200, 5:00 as 5. */
const withPlainFractions = (text: string): string =>
  text
    .replaceAll(/[½¼¾]/g, (sign) => ` ${{ '½': '1/2', '¼': '1/4', '¾': '3/4' }[sign] ?? sign}`)
    .replaceAll(/\\[dt]?frac\s*(?:\{(\d+)\}\s*\{(\d+)\}|(\d)(\d))/g, ' $1$3/$2$4')
    .replaceAll(/(?<![\d.,/])(\d+)\s+(\d+)\/([1-9]\d*)(?![\d/])/g, (_, whole, top, bottom) =>
      Number(top) < Number(bottom) ? `${Number(whole) * Number(bottom) + Number(top)}/${bottom}` : _,
    )
    .replaceAll(/(\d)(?:\{,\}|\\ |[\u00a0\u2009\u202f])(?=\d{3}(?!\d))/g, '$1,')
    .replaceAll(/(?<!\d)(\d{1,2}):00\b/g, '$1');

/** The values that may be meant: 5 million is 5,000,000, and 5 where the question asks how many millions. */
function readingsOf(written: string | undefined): number[] {
  if (written === undefined) return [];
  const digits = written.replace('−', '-').replaceAll(/[^\d./,-]/g, '');
  const joined = /^-?\d+,\d{1,2}$/.test(digits) ? digits.replace(',', '.') : digits.replaceAll(',', '');
  const [top, bottom = '1'] = joined.split('/');
  const value = Number(top) / Number(bottom);
  return [...new Set([value, value * magnitudeOf(written)])].filter(Number.isFinite);
}

function isSameNumber(gold: number, given: number): boolean {
  const tolerance = Number.isInteger(gold) ? 1e-6 : RELATIVE_TOLERANCE * Math.abs(gold);
  return Math.abs(gold - given) <= tolerance;
}
