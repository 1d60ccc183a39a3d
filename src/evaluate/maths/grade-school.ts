/** Word problems whose answer is one number: GSM8K, MAWPS, SVAMP. Signs of currency and the calculator's notes are no maths. */
import { behindMarker, boxedAnswer, numbersIn } from './extract.ts';
import type { MathsGrade } from './grade.ts';

/** Differences that rounding to a few decimals makes; whole numbers must be exact. */
const RELATIVE_TOLERANCE = 1e-4;

/**
 * @param gold - a solution that ends in '#### 18' or 'A: 18', or the number alone
 * @param prediction - the whole text of the answer
 */
export function gradeNumber(gold: string, prediction: string): MathsGrade {
  const right = finalNumber(gold);
  const answer = finalNumber(prediction);
  const [x, y] = [right, answer].map(numberOf);
  const correct = x !== undefined && y !== undefined && isSameNumber(x, y);
  return { gold: right ?? gold, answer, correct };
}

/** The number in the last box, else the first one behind '####', 'answer is' or 'A:', else the last one. */
export function finalNumber(text: string): string | undefined {
  const plain = text.replaceAll(/<<[^<>]*>>/g, '').replaceAll(/\\[$,!]|[*]{2}/g, '');
  const boxed = boxedAnswer(plain);
  const marked = behindMarker(plain);
  return (
    (boxed === undefined ? undefined : numbersIn(withPlainFractions(boxed)).at(-1)) ??
    (marked === undefined ? undefined : markedNumber(withPlainFractions(marked))) ??
    numbersIn(withPlainFractions(plain)).at(-1)
  );
}

/** 'The answer is 6 * 3 = 18' gives 18, 'the answer is 18 eggs for 3 days' gives 18 too. */
function markedNumber(marked: string): string | undefined {
  const line = marked.split('\n').find((text) => text.trim() !== '') ?? '';
  const equation = /=\s*([^=]+)$/.exec(line.split(/[.!?](?:\s|$)/)[0]);
  return numbersIn(equation?.[1] ?? line)[0];
}

const withPlainFractions = (text: string): string =>
  text.replaceAll(/\\[dt]?frac\s*\{(\d+)\}\s*\{(\d+)\}/g, '$1/$2');

function numberOf(written: string | undefined): number | undefined {
  if (written === undefined) return undefined;
  const digits = written.replace('−', '-').replaceAll(/[^\d./,-]/g, '');
  const joined = /^-?\d+,\d{1,2}$/.test(digits) ? digits.replace(',', '.') : digits.replaceAll(',', '');
  const [top, bottom = '1'] = joined.split('/');
  const value = Number(top) / Number(bottom);
  return Number.isFinite(value) ? value : undefined;
}

function isSameNumber(gold: number, given: number): boolean {
  const tolerance = Number.isInteger(gold) ? 1e-6 : RELATIVE_TOLERANCE * Math.abs(gold);
  return Math.abs(gold - given) <= tolerance;
}
