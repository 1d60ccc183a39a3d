/** Sets of real numbers, however they are written: ℝ∖{0}, x ≠ 0 and (-∞,0)∪(0,∞) are the same one. */
import { type Expression, isClosed, type RelationChain, type Sequence, some } from './expression.ts';
import { realValue } from './numeric.ts';
import { asIntervals } from './relations.ts';

/** A number at which membership may change. */
interface Cut {
  readonly value: number;
  readonly written: Expression;
}

/**
 * The line, cut at some numbers into points and gaps between them.
 * `points[i]` says whether cut i is in the set, `gaps[i]` whether what lies between the cuts i - 1 and i is.
 */
export interface RealSet {
  /** In increasing order, all different. */
  readonly cuts: readonly Cut[];
  readonly points: readonly boolean[];
  readonly gaps: readonly boolean[];
}

const OPERATIONS: Readonly<Record<string, (a: boolean, b: boolean) => boolean>> = {
  union: (a, b) => a || b,
  intersect: (a, b) => a && b,
  minus: (a, b) => a && !b,
  // Of sets: ℝ - {0}.
  subtract: (a, b) => a && !b,
};

/** Nobody writes down a set with more ends; the limit keeps the time short. */
const MAX_CUTS = 128;

/**
 * Whether a formula is written as a set by an operation, by what an unknown is or is not, or by a list with such a part.
 * (1, 2), (3, 4) may be two points of a plane; an infinite end makes a list of intervals of it.
 */
export const isSetLike = (e: Expression): boolean =>
  (e.type === 'call' && Object.hasOwn(OPERATIONS, e.name) && e.name !== 'subtract') ||
  (e.type === 'call' && e.name === 'subtract' && e.args.some((arg) => arg.type === 'sequence')) ||
  (e.type === 'relation' && e.operators.length === 1 && e.operators[0] === '≠') ||
  (e.type === 'sequence' && e.open === '' && e.items.some((item) => isCondition(item) || isUnbounded(item)));

const isCondition = (e: Expression): boolean =>
  isSetLike(e) || (e.type === 'relation' && asIntervals(e) !== undefined);

const isUnbounded = (e: Expression): boolean =>
  e.type === 'sequence' && isInterval(e) && e.items.some((end) => !Number.isFinite(endOf(end) ?? 0));

/** @returns undefined for what is no set of real numbers, or one with ends that have no value */
export function realSetOf(e: Expression): RealSet | undefined {
  switch (e.type) {
    case 'sequence':
      if (isInterval(e)) return interval(e);
      if (e.open === '{') return combined(e.items.map(point), 'union') ?? EMPTY;
      return e.open === '' && e.items.length > 0 ? listed(e.items) : undefined;
    case 'call':
      return Object.hasOwn(OPERATIONS, e.name) && e.args.length > 1
        ? combined(e.args.map(realSetOf), e.name)
        : undefined;
    case 'relation':
      return ofRelation(e);
    case 'symbol':
      return e.name === '∅' ? EMPTY : undefined;
    default:
      return undefined;
  }
}

/** Whether both have the same members; `areSame` compares the numbers at which they change. */
export function sameSet(a: RealSet, b: RealSet, areSame: (x: Expression, y: Expression) => boolean): boolean {
  const [x, y] = [withoutIdleCuts(a), withoutIdleCuts(b)];
  return (
    String(x.points) === String(y.points) &&
    String(x.gaps) === String(y.gaps) &&
    x.cuts.every(({ written }, i) => areSame(written, y.cuts[i].written))
  );
}

/** The unknowns of conditions: x of x < 1 or x > 2. */
export function unknownsOf(e: Expression): ReadonlySet<string> {
  const names = new Set<string>();
  some(e, (part) => {
    if (part.type === 'relation')
      for (const side of part.sides) if (side.type === 'symbol' && !isClosed(side)) names.add(side.name);
    return false;
  });
  return names;
}

const EMPTY: RealSet = { cuts: [], points: [], gaps: [false] };

const isInterval = (e: Expression): boolean =>
  e.type === 'sequence' &&
  e.items.length === 2 &&
  (e.open === '(' || e.open === '[') &&
  (e.close === ')' || e.close === ']');

function interval({ open, close, items }: Sequence): RealSet | undefined {
  const [low, high] = items.map(endOf);
  if (low === undefined || high === undefined || low > high) return undefined;
  if (low === high) return open === '[' && close === ']' ? point(items[0]) : EMPTY;
  const ends = [
    { value: low, written: items[0], isIn: open === '[', before: false },
    { value: high, written: items[1], isIn: close === ']', before: true },
  ].filter(({ value }) => Number.isFinite(value));
  return {
    cuts: ends,
    points: ends.map(({ isIn }) => isIn),
    gaps: [...ends.map(({ before }) => before), high === Number.POSITIVE_INFINITY],
  };
}

function point(written: Expression): RealSet | undefined {
  const value = realValue(written);
  return value === undefined
    ? undefined
    : { cuts: [{ value, written }], points: [true], gaps: [false, false] };
}

function endOf(end: Expression): number | undefined {
  if (end.type === 'symbol' && end.name === '∞') return Number.POSITIVE_INFINITY;
  if (end.type !== 'call' || end.name !== 'negate') return realValue(end);
  const positive = endOf(end.args[0]);
  return positive === undefined ? undefined : -positive;
}

function ofRelation(relation: RelationChain): RealSet | undefined {
  const { sides, operators } = relation;
  if (operators.length === 1 && operators[0] === '≠') {
    const excluded = sides.filter(isClosed);
    const isUnknown = sides.some((side) => side.type === 'symbol' && !isClosed(side));
    const without = excluded.length === 1 && isUnknown ? point(excluded[0]) : undefined;
    return without && { ...without, points: [false], gaps: [true, true] };
  }
  const intervals = asIntervals(relation);
  return intervals && realSetOf(intervals);
}

/** x < 1, x > 2 are alternatives, and what an unknown is not holds beside everything else: x > 0, x ≠ 1. */
function listed(items: readonly Expression[]): RealSet | undefined {
  if (unknownsOf({ type: 'sequence', open: '', close: '', items }).size > 1) return undefined;
  const isExclusion = (e: Expression) => e.type === 'relation' && e.operators[0] === '≠';
  const exclusions = combined(items.filter(isExclusion).map(realSetOf), 'intersect');
  const others = items.filter((item) => !isExclusion(item));
  if (others.length === 0) return exclusions;
  const sets = others.map((item) =>
    item.type === 'sequence' || isCondition(item) ? realSetOf(item) : point(item),
  );
  const either = combined(sets, 'union');
  // x > 1 and x < 5: as alternatives they would say nothing.
  const isEverything = either?.points.every(Boolean) && either.gaps.every(Boolean) && others.length > 1;
  const value = isEverything ? combined(sets, 'intersect') : either;
  if (items.length === others.length || value === undefined) return value;
  return combined([value, exclusions], 'intersect');
}

/** The sets from left to right; undefined if one of them is, if there are too many ends, or for no set at all. */
function combined(sets: readonly (RealSet | undefined)[], operation: string): RealSet | undefined {
  const [first, ...rest] = sets;
  return rest.reduce((a, b) => {
    if (a === undefined || b === undefined || a.cuts.length + b.cuts.length > MAX_CUTS) return undefined;
    return pair(a, b, OPERATIONS[operation]);
  }, first);
}

function pair(a: RealSet, b: RealSet, keep: (inA: boolean, inB: boolean) => boolean): RealSet {
  const cuts: Cut[] = [];
  for (const cut of [...a.cuts, ...b.cuts].sort((x, y) => x.value - y.value)) {
    const last = cuts.at(-1);
    if (last === undefined || !isSame(last.value, cut.value)) cuts.push(cut);
  }
  const gaps = [...cuts, undefined].map((next, i) => {
    const before = i === 0 ? Number.NEGATIVE_INFINITY : cuts[i - 1].value;
    const inside = next === undefined ? Number.POSITIVE_INFINITY : (before + next.value) / 2;
    return keep(contains(a, inside), contains(b, inside));
  });
  return { cuts, points: cuts.map(({ value }) => keep(contains(a, value), contains(b, value))), gaps };
}

function contains({ cuts, points, gaps }: RealSet, x: number): boolean {
  const at = cuts.findIndex(({ value }) => isSame(value, x));
  if (at >= 0) return points[at];
  const next = cuts.findIndex(({ value }) => value > x);
  return next < 0 ? gaps[gaps.length - 1] : gaps[next];
}

const isSame = (cut: number, x: number): boolean =>
  Number.isFinite(x) && Math.abs(cut - x) <= 1e-12 * Math.max(Math.abs(cut), Math.abs(x));

/** Without cuts at which nothing changes. */
function withoutIdleCuts({ cuts, points, gaps }: RealSet): RealSet {
  const kept = [...cuts.keys()].filter((i) => points[i] !== gaps[i] || points[i] !== gaps[i + 1]);
  return {
    cuts: kept.map((i) => cuts[i]),
    points: kept.map((i) => points[i]),
    gaps: [gaps[0], ...kept.map((i) => gaps[i + 1])],
  };
}
