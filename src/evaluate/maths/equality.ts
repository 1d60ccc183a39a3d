/** Whether two answers say the same: values, tuples, intervals, sets, matrices, equations, inequalities, words. */
import {
  call,
  type Expression,
  isClosed,
  mapParts,
  number,
  type RelationChain,
  type Sequence,
  sequence,
  some,
  textOf,
} from './expression.ts';
import { sameDigits, valueInBaseTen } from './numerals.ts';
import { areProportional, haveSameValue, realValue } from './numeric.ts';
import { isSetLike, type RealSet, realSetOf, sameSet, unknownsOf } from './real-sets.ts';
import { asIntervals, assignedValue, isAssignment } from './relations.ts';

/**
 * @param gold - the right answer; @param given - the answer to be judged
 *
 * \log without a base is decimal to schools and to Math-Verify, natural to analysts and to SymPy since 1.12: one reading of
 * both answers must make them equal.
 */
export function sayTheSame(gold: Expression, given: Expression): boolean {
  if (!some(gold, isPlainLog) && !some(given, isPlainLog)) return areSame(resolved(gold), resolved(given));
  return ['lg', 'ln'].some((name) => {
    const [a, b] = [gold, given].map((expression) => resolved(withLog(expression, name)));
    return areSame(a, b);
  });
}

const isPlainLog = (part: Expression): boolean =>
  part.type === 'call' && part.name === 'log' && part.args.length === 1;

function withLog(expression: Expression, name: string): Expression {
  const inner = mapParts(expression, (part) => withLog(part, name));
  return inner.type === 'call' && isPlainLog(inner) ? { ...inner, name } : inner;
}

/** Both signs of ± written out, and x ∈ S as S. */
function resolved(expression: Expression): Expression {
  if (expression.type === 'sequence' && (expression.open === '' || expression.open === '{')) {
    const items = expression.items.flatMap((item) => {
      const inner = resolved(item);
      return inner.type === 'sequence' && inner.open === '' ? inner.items : [inner];
    });
    return { ...expression, items };
  }
  if (expression.type === 'relation' && expression.operators.at(-1) === '∈')
    return resolved(expression.sides[expression.sides.length - 1]);
  if (expression.type === 'call' && ['union', 'intersect', 'minus'].includes(expression.name))
    return { ...expression, args: expression.args.map(resolved) };
  const hasSigns = some(expression, (part) => part.type === 'call' && ['pm', 'mp'].includes(part.name));
  if (!hasSigns) return expression;
  return sequence('', [withSign(expression, 'pm'), withSign(expression, 'mp')], '');
}

/** ± read as + where `plus` is 'pm', as - where it is 'mp'; ∓ the other way round. */
function withSign(expression: Expression, plus: 'pm' | 'mp'): Expression {
  const inner = mapParts(expression, (part) => withSign(part, plus));
  if (inner.type !== 'call' || (inner.name !== 'pm' && inner.name !== 'mp')) return inner;
  const isPlus = inner.name === plus;
  if (inner.args.length === 1) return isPlus ? inner.args[0] : call('negate', inner.args[0]);
  return call(isPlus ? 'add' : 'subtract', ...inner.args);
}

function areSame(a: Expression, b: Expression): boolean {
  if (textOf(a) === textOf(b)) return true;
  const sets = asSets(a, b);
  if (sets !== undefined) return sameSet(...sets, (x, y) => areSame(x, y));
  if (a.type === 'relation' || b.type === 'relation') return sameRelation(a, b);
  if (isUnion(a) || isUnion(b)) return sameUnion(a, b);
  if (a.type === 'sequence' || b.type === 'sequence') return sameSequence(a, b);
  if (a.type === 'matrix' && b.type === 'matrix') return sameMatrix(a.rows, b.rows);
  if (a.type === 'text' || b.type === 'text') return sameWords(a, b);
  return sameValue(a, b);
}

// Values

function sameValue(a: Expression, b: Expression): boolean {
  if (a.type === 'numeral' || b.type === 'numeral') {
    if (a.type === 'numeral' && b.type === 'numeral' && a.base === b.base)
      return sameDigits(a.digits, b.digits);
    const [x, y] = [a, b].map(valueInBaseTen);
    return x !== undefined && y !== undefined && sameNumber(x, y);
  }
  if (isRatio(a) && isRatio(b)) return sameTuple(a.args, b.args) || haveSameValue(a, b) === true;
  const [percentA, percentB] = [percentOf(a), percentOf(b)];
  if ((percentA === undefined) !== (percentB === undefined)) {
    const [inside, other] = percentA === undefined ? [percentB, a] : [percentA, b];
    if (inside === undefined) return false;
    return sameNumber(inside, other) || sameNumber(call('divide', inside, number('100')), other);
  }
  return sameNumber(a, b);
}

const isRatio = (e: Expression): e is Extract<Expression, { type: 'call' }> =>
  e.type === 'call' && e.name === 'ratio';

const percentOf = (e: Expression): Expression | undefined =>
  e.type === 'call' && e.name === 'percent' ? e.args[0] : undefined;

const sameNumber = (a: Expression, b: Expression): boolean =>
  haveSameValue(a, b) === true || isRounded(a, b) || isRounded(b, a);

/** From this many decimals on, a rounded number stands for the exact one. */
const ROUNDED_DECIMALS = 4;

/** Whether `rounded` is a decimal that `exact` rounds to: 0.3333 for 1/3. */
function isRounded(rounded: Expression, exact: Expression): boolean {
  const positive = rounded.type === 'call' && rounded.name === 'negate' ? rounded.args[0] : rounded;
  if (positive.type !== 'number') return false;
  const decimals = positive.text.split('.')[1]?.length ?? 0;
  if (decimals < ROUNDED_DECIMALS) return false;
  const [x, y] = [realValue(rounded), realValue(exact)];
  return x !== undefined && y !== undefined && Math.abs(x - y) <= 0.5001 * 10 ** -decimals;
}

// Words

/** Letters that were read as a product are words too: \text{odd} and odd. */
function sameWords(a: Expression, b: Expression): boolean {
  const [x, y] = [a, b].map((e) =>
    textOf(e)
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}]/gu, ''),
  );
  return x !== '' && x === y;
}

// Sequences

function sameSequence(a: Expression, b: Expression): boolean {
  if (a.type === 'sequence' && b.type === 'sequence') return sameBracketed(a, b);
  const [list, other] = a.type === 'sequence' ? [a, b] : [b as Sequence, a];
  if (other.type === 'matrix') {
    const isVector = other.rows.length === 1 || other.rows.every((row) => row.length === 1);
    return isVector && list.open !== '{' && sameTuple(list.items, other.rows.flat());
  }
  if (!isOrdered(list)) {
    const items = distinct(list);
    if (items.length === 1) return areSame(items[0], other);
  }
  return isDecimalComma(list) && sameNumber(asDecimal(list), other);
}

function sameBracketed(a: Sequence, b: Sequence): boolean {
  const [orderedA, orderedB] = [isOrdered(a), isOrdered(b)];
  if (!orderedA && !orderedB) return sameItems(distinct(a), distinct(b)) || sameDecimals(a, b);
  if (orderedA !== orderedB) {
    const [ordered, list] = orderedA ? [a, b] : [b, a];
    return list.open === '' && isTuple(ordered) && sameTuple(ordered.items, list.items);
  }
  const isInterval = a.items.length === 2 && b.items.length === 2;
  const sameEnds = a.open === b.open && a.close === b.close;
  return (sameEnds || !isInterval) && sameTuple(a.items, b.items);
}

const isOrdered = ({ open }: Sequence): boolean => open === '(' || open === '[';
const isTuple = ({ open, close }: Sequence): boolean => open === '(' && close === ')';

const sameTuple = (a: readonly Expression[], b: readonly Expression[]): boolean =>
  a.length === b.length && a.every((item, i) => sameMember(item, b[i]));

/** Members of lists may name what they are: a = 4, -8. */
const sameMember = (a: Expression, b: Expression): boolean => areSame(resolved(a), resolved(b));

/** Longer lists are compared in the order in which they stand, so that time stays short. */
const MAX_UNORDERED = 64;

/** Whether the items are the same in some order. */
function sameItems(a: readonly Expression[], b: readonly Expression[]): boolean {
  if (a.length !== b.length) return false;
  if (a.length > MAX_UNORDERED) return sameTuple(a, b);
  const left = [...b];
  return a.every((item) => {
    const match = left.findIndex((other) => sameMember(item, other));
    if (match >= 0) left.splice(match, 1);
    return match >= 0;
  });
}

/** The items of a set, each once: 15 3/4 or 63/4 is one number. */
function distinct({ items }: Sequence): Expression[] {
  const kept: Expression[] = [];
  for (const item of items.slice(0, MAX_UNORDERED))
    if (!kept.some((other) => sameMember(other, item))) kept.push(item);
  return [...kept, ...items.slice(MAX_UNORDERED)];
}

/** 1,22 as a list is also how most of the world writes 1.22. */
const isDecimalComma = (list: Sequence): boolean =>
  list.open === '' &&
  list.items.length === 2 &&
  list.items.every((item) => item.type === 'number' && /^\d+$/.test(item.text));
const asDecimal = ({ items }: Sequence): Expression => number(items.map(textOf).join('.'));
const sameDecimals = (a: Sequence, b: Sequence): boolean =>
  isDecimalComma(a) && isDecimalComma(b) && sameNumber(asDecimal(a), asDecimal(b));

// Unions of intervals and matrices

const isUnion = (e: Expression): boolean => e.type === 'call' && e.name === 'union';

/** Both as sets of real numbers, where one is written as such and neither speaks of another unknown. */
function asSets(a: Expression, b: Expression): [RealSet, RealSet] | undefined {
  if (!isSetLike(a) && !isSetLike(b)) return undefined;
  const [names, others] = [unknownsOf(a), unknownsOf(b)];
  if (names.size > 0 && others.size > 0 && [...names].some((name) => !others.has(name))) return undefined;
  const [x, y] = [realSetOf(a), realSetOf(b)];
  return x && y && [x, y];
}

/** Unions whose ends have no value, part by part: (-∞, a) ∪ (b, ∞). */
const sameUnion = (a: Expression, b: Expression): boolean => sameItems(pieces(a), pieces(b));

const pieces = (e: Expression): readonly Expression[] => {
  if (e.type === 'call' && e.name === 'union') return e.args.flatMap(pieces);
  if (e.type === 'sequence' && e.open === '')
    return e.items.flatMap((item) => (isUnion(item) ? pieces(item) : [item]));
  return [e];
};

const sameMatrix = (a: readonly (readonly Expression[])[], b: readonly (readonly Expression[])[]): boolean =>
  a.length === b.length && a.every((row, i) => sameTuple(row, b[i]));

// Equations and inequalities

function sameRelation(a: Expression, b: Expression): boolean {
  if (a.type === 'relation' && b.type === 'relation') return sameChains(a, b);
  const [relation, other] = a.type === 'relation' ? [a, b] : [b as RelationChain, a];
  const value = assignedValue(relation);
  if (value !== undefined) return areSame(resolved(value), other);
  // n = 1, 2, 3 is one relation and two values.
  if (other.type === 'sequence' && other.open === '' && other.items.length === 1)
    return areSame(relation, other.items[0]);
  const intervals = asIntervals(relation);
  return intervals !== undefined && areSame(intervals, other);
}

function sameChains(a: RelationChain, b: RelationChain): boolean {
  const [valueA, valueB] = [assignedValue(a), assignedValue(b)];
  if (valueA !== undefined && valueB !== undefined) {
    if (!areSame(resolved(valueA), resolved(valueB))) return sameEquation(a, b);
    return isAssignment(a) === isAssignment(b) && mayNameTheSame(a.sides[0], b.sides[0]);
  }
  if (a.operators.length === 1 && b.operators.length === 1) return sameEquation(a, b);
  const [x, y] = [asIntervals(a), asIntervals(b)];
  const sameSides = sameTuple(a.sides, b.sides) && String(a.operators) === String(b.operators);
  const reversed = turned(b);
  const sameTurned = sameTuple(a.sides, reversed.sides) && String(a.operators) === String(reversed.operators);
  return sameSides || sameTurned || (x !== undefined && y !== undefined && areSame(x, y));
}

/** f(x) = ... and f(n) = ... may be the same function; x = 2 and y = 2 are not the same answer. */
function mayNameTheSame(a: Expression, b: Expression): boolean {
  const areVariables = a.type === 'symbol' && b.type === 'symbol';
  return !areVariables || a.name === b.name || a.name.split('_')[0] === b.name.split('_')[0];
}

const TURNED = { '=': '=', '≈': '≈', '≠': '≠', '<': '>', '>': '<', '≤': '≥', '≥': '≤', '∈': '∈' } as const;

const turned = (chain: RelationChain): RelationChain => ({
  ...chain,
  sides: chain.sides.toReversed(),
  operators: chain.operators.toReversed().map((operator) => TURNED[operator]),
});

/** l = r and l' = r' where l - r is a multiple of l' - r'; of inequalities a positive one. */
function sameEquation(a: RelationChain, b: RelationChain): boolean {
  if (a.operators.length !== 1 || b.operators.length !== 1) return false;
  const [x, y] = [lessThan(a), lessThan(b)];
  if (x.operators[0] !== y.operators[0]) return false;
  const [differenceX, differenceY] = [x, y].map(({ sides }) => call('subtract', sides[0], sides[1]));
  if (isClosed(differenceX) || isClosed(differenceY)) return false;
  const isInequality = x.operators[0] === '<' || x.operators[0] === '≤';
  return areProportional(differenceX, differenceY, isInequality ? 1 : 0);
}

const lessThan = (chain: RelationChain): RelationChain =>
  chain.operators[0] === '>' || chain.operators[0] === '≥' ? turned(chain) : chain;
