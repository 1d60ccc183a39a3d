/** What equations and inequalities say about a single unknown. */
import {
  call,
  type Expression,
  isClosed,
  type Relation,
  type RelationChain,
  sequence,
  symbol,
} from './expression.ts';

/**
 * The value that an equation gives: 11 of x = 11 and of x = 5 + 6 = 11, 1/3 of x = 1/3 ≈ 0.33; undefined for
 * equations such as 2x + y = 1, which give none.
 */
export function assignedValue({ sides, operators }: RelationChain): Expression | undefined {
  if (operators.some((operator) => operator !== '=' && operator !== '≈')) return undefined;
  const approximate = operators.indexOf('≈', 1);
  const values = approximate > 0 ? sides.slice(0, approximate + 1) : sides;
  const last = values[values.length - 1];
  const name = values[values.length - 2];
  if (isName(values[0]) || isName(name)) return last;
  if (values.every(isClosed)) return last;
  // a + b = 3 + 4 = 7
  if (values.length > 2 && isClosed(name) && isClosed(last)) return last;
  // 5 = x
  return values.length === 2 && isName(last) && isClosed(values[0]) ? values[0] : undefined;
}

/** Whether the left side is a name for what stands on the right. */
export const isAssignment = ({ sides }: RelationChain): boolean => isName(sides[0]);

/** x, f(x), AB, |AB|, a : b, NO/BO, (p, q): what a value may be given to. */
function isName(side: Expression): boolean {
  switch (side.type) {
    case 'symbol':
      return side.name !== 'π' && side.name !== 'e' && side.name !== 'i';
    case 'text':
      return true;
    case 'sequence':
      return side.items.every(isName);
    case 'call':
      if (['multiply', 'subtract', 'add', 'negate', 'power'].includes(side.name))
        return side.name === 'multiply' && isName(side.args[0]);
      return (
        !isClosed(side) && side.args.length > 0 && side.args.every((arg) => isName(arg) || isClosed(arg))
      );
    default:
      return false;
  }
}

const FLIPPED: Partial<Record<Relation, Relation>> = { '>': '<', '≥': '≤' };

/** The interval (or two of them, for |x|) in which an inequality puts its unknown: x < 3, -1 ≤ x < 2, 1 < |x| < 2. */
export function asIntervals(relation: RelationChain): Expression | undefined {
  const isFalling = relation.operators.every((operator) => FLIPPED[operator] !== undefined);
  const sides = isFalling ? relation.sides.toReversed() : relation.sides;
  const operators = isFalling
    ? relation.operators.toReversed().map((operator) => FLIPPED[operator] ?? operator)
    : relation.operators;
  if (operators.some((operator) => operator !== '<' && operator !== '≤')) return undefined;
  const infinity = symbol('∞');
  if (sides.length === 2) {
    const [left, right] = sides;
    const open = operators[0] === '<';
    if (isAbsolute(left) && isClosed(right)) return around(right, open);
    if (isAbsolute(right) && isClosed(left)) return beyond(left, open);
    if (isClosed(right) && isUnknown(left))
      return sequence('(', [call('negate', infinity), right], open ? ')' : ']');
    if (isClosed(left) && isUnknown(right)) return sequence(open ? '(' : '[', [left, infinity], ')');
    return undefined;
  }
  if (sides.length !== 3 || !isClosed(sides[0]) || !isClosed(sides[2]) || isClosed(sides[1]))
    return undefined;
  const [low, unknown, high] = sides;
  const [openLow, openHigh] = operators.map((operator) => operator === '<');
  const above = sequence(openLow ? '(' : '[', [low, high], openHigh ? ')' : ']');
  if (unknown.type !== 'call' || unknown.name !== 'abs') return above;
  const below = sequence(
    openHigh ? '(' : '[',
    [call('negate', high), call('negate', low)],
    openLow ? ')' : ']',
  );
  return call('union', below, above);
}

const isAbsolute = (side: Expression): boolean =>
  side.type === 'call' && side.name === 'abs' && isUnknown(side.args[0]);

/** |x| < r */
const around = (radius: Expression, open: boolean): Expression =>
  sequence(open ? '(' : '[', [call('negate', radius), radius], open ? ')' : ']');

/** |x| > r */
const beyond = (radius: Expression, open: boolean): Expression =>
  call(
    'union',
    sequence('(', [call('negate', symbol('∞')), call('negate', radius)], open ? ')' : ']'),
    sequence(open ? '(' : '[', [radius, symbol('∞')], ')'),
  );

/** A variable, or a function of one: x or f(x), but not 2x + 1. */
const isUnknown = (side: Expression): boolean =>
  side.type === 'symbol' || (side.type === 'call' && side.name === 'multiply' && isName(side));
