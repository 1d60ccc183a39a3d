/** Unions of sets and intervals in one way of writing: {1} ∪ {2} is {1, 2}, [1, 2] ∪ [2, 3] is [1, 3]. */
import { type Expression, type Sequence, sequence } from './expression.ts';
import { realValue } from './numeric.ts';

interface Interval {
  readonly written: Sequence;
  readonly low: number;
  readonly high: number;
}

/** The parts of a union, sets as one set and intervals that touch or overlap as one interval. */
export function joined(parts: readonly Expression[]): readonly Expression[] {
  const sets = parts.filter((part): part is Sequence => part.type === 'sequence' && part.open === '{');
  const others = parts.filter((part) => !sets.includes(part as Sequence));
  const intervals = others.map(asInterval);
  const whole = intervals.every((interval) => interval !== undefined) ? joinedIntervals(intervals) : others;
  if (sets.length === 0) return whole;
  return [
    ...whole,
    sequence(
      '{',
      sets.flatMap(({ items }) => items),
      '}',
    ),
  ];
}

function joinedIntervals(intervals: readonly Interval[]): Sequence[] {
  const kept: Interval[] = [];
  for (const next of [...intervals].sort((a, b) => a.low - b.low)) {
    const last = kept.at(-1);
    if (last === undefined || !areTouching(last, next)) {
      kept.push(next);
      continue;
    }
    const end =
      next.high > last.high || (next.high === last.high && next.written.close === ']') ? next : last;
    const begin = next.low === last.low && next.written.open === '[' ? next : last;
    const written = sequence(
      begin.written.open,
      [begin.written.items[0], end.written.items[1]],
      end.written.close,
    );
    kept[kept.length - 1] = { written, low: begin.low, high: end.high };
  }
  return kept.map(({ written }) => written);
}

const areTouching = (first: Interval, next: Interval): boolean =>
  next.low < first.high ||
  (next.low === first.high && (next.written.open === '[' || first.written.close === ']'));

function asInterval(part: Expression): Interval | undefined {
  if (part.type !== 'sequence' || part.items.length !== 2) return undefined;
  if (!'(['.includes(part.open) || !')]'.includes(part.close) || part.open === '') return undefined;
  const [low, high] = part.items.map(endOf);
  return low === undefined || high === undefined || low > high ? undefined : { written: part, low, high };
}

function endOf(end: Expression): number | undefined {
  if (end.type === 'symbol' && end.name === '∞') return Number.POSITIVE_INFINITY;
  if (end.type !== 'call' || end.name !== 'negate') return realValue(end);
  const positive = endOf(end.args[0]);
  return positive === undefined ? undefined : -positive;
}
