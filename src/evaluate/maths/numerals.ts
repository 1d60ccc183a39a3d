/** Numerals in other systems than the decimal one: 204_5, 1010_{two}. */
import { type Expression, number } from './expression.ts';

const WORDS =
  'two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen'.split(' ');

/** 8 of the subscripts 8, (8), eight and 'base 8'; undefined for what names no base. */
export function baseOf(subscript: string): number | undefined {
  const name = /^\s*\(?\s*(?:base\s*)?(\d+|[a-z]+)\s*\)?\s*$/i.exec(subscript)?.[1].toLowerCase();
  if (name === undefined) return undefined;
  const base = /^\d/.test(name) ? Number(name) : WORDS.indexOf(name) + 2;
  return base >= 2 ? base : undefined;
}

/** Whether the digits are the same but for zeros before them. */
export const sameDigits = (a: string, b: string): boolean => significant(a) === significant(b);

const significant = (digits: string): string => digits.replace(/^0+(?=\d)/, '');

/** 10 for 10_{10}; undefined for numerals of other bases, which stand for the digits that were asked for. */
export function valueInBaseTen(e: Expression): Expression | undefined {
  if (e.type !== 'numeral') return e;
  return e.base === 10 ? number(e.digits) : undefined;
}
