/** Whether a written answer to a maths question is right. */
import { sayTheSame } from './equality.ts';
import type { Expression } from './expression.ts';
import { plainText } from './expression.ts';
import { boxedAnswer, extractAnswer } from './extract.ts';
import { cleanNotation } from './notation.ts';
import { parseExpression } from './parser.ts';
import { magnitudeOf } from './spoken-numbers.ts';

/** Longer right answers are solutions in prose, and their answer is looked for as in a prediction. */
const MAX_GOLD_LENGTH = 200;

/** Longer answers are compared as they stand. */
const MAX_ANSWER_LENGTH = 5000;

export interface MathsGrade {
  /** The answers that were compared, as found in the texts. */
  readonly gold: string;
  readonly answer: string | undefined;
  readonly correct: boolean;
}

/**
 * Grades a solution against a right answer.
 * @param gold - a bare answer in LaTeX or plain text, or a solution with \boxed
 * @param prediction - the whole text of the answer
 */
export function gradeMaths(gold: string, prediction: string): MathsGrade {
  const right = goldAnswer(gold);
  const answer = extractAnswer(prediction);
  if (answer === undefined) return { gold: right, answer, correct: false };
  const correct = areEqualAnswers(right, answer) || isOption(right, answer) || areSameText(right, prediction);
  return { gold: right, answer, correct };
}

/** Whether 'B' is the letter of 'B. 12 apples' or '(B) 12 apples'. */
function isOption(gold: string, answer: string): boolean {
  const [letter, given] = [gold, answer].map((text) =>
    text.replaceAll(/\\(?:text|textbf|mathrm)\s*\{|[{}(\s]/g, ''),
  );
  return /^[A-J]\)?$/.test(letter) && new RegExp(`^${letter[0]}[.:)]`).test(given);
}

/** Whether a short prediction is the answer as it stands: of 'June 20' only the number looks like an answer. */
const areSameText = (gold: string, prediction: string): boolean =>
  prediction.length <= MAX_GOLD_LENGTH &&
  sameWords(cleanNotation(withoutDelimiters(gold)), cleanNotation(withoutDelimiters(prediction)));

function goldAnswer(gold: string): string {
  const boxed = boxedAnswer(gold);
  if (boxed !== undefined) return boxed;
  return (gold.length > MAX_GOLD_LENGTH ? extractAnswer(gold) : undefined) ?? gold;
}

/** Whether two answers, without any text around them, are equal as texts, as values or as statements. */
export function areEqualAnswers(gold: string, answer: string): boolean {
  if (Math.max(gold.length, answer.length) > MAX_ANSWER_LENGTH) return gold.trim() === answer.trim();
  const [a, b] = [gold, answer].map((text) => cleanNotation(withoutDelimiters(text)));
  if (a !== '' && withoutSpaces(a) === withoutSpaces(b)) return true;
  const [x, y] = [parsed(a), parsed(b)];
  if (x !== undefined && y !== undefined && sayTheSame(x, y)) return true;
  return sameWords(a, b) || isAbbreviated(a, b) || isAbbreviated(b, a);
}

/** Whether one is 70K or 1.5M and the other the number meant; beside a formula k is a variable. */
function isAbbreviated(short: string, full: string): boolean {
  const [, digits, letter] = /^(\d+(?:\.\d+)?) ?([KkM])$/.exec(short) ?? [];
  return letter !== undefined && /^\d+$/.test(full) && Number(digits) * magnitudeOf(letter) === Number(full);
}

/** Whether both are the same words, perhaps in \text: 'June 20' too, but no formula. */
function sameWords(a: string, b: string): boolean {
  const [x, y] = [a, b].map((text) => text.replace(/^\\(?:text|mbox|textbf|mathrm)\s*\{([^{}]*)\}$/, '$1'));
  return /^[\p{L}\p{N} .,'-]*\p{L}{2}[\p{L}\p{N} .,'-]*$/u.test(x) && plainText(x) === plainText(y);
}

const withoutDelimiters = (text: string): string => text.replaceAll(/(?<!\\)\$|\\[()\]]|\\\[(?!\d)/g, ' ');
/** A space between two digits stays: 1 2 is not 12. */
const withoutSpaces = (text: string): string => text.replaceAll(/(?<!\d)\s+|\s+(?!\d)/g, '');

function parsed(text: string): Expression | undefined {
  try {
    return parseExpression(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
