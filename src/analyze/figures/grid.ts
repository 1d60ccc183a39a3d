/** A metric over a grid of runs, as `prefgrad sweep` trains them. */
import type { Axis, Figure, Series } from '../figure.ts';
import { groupBy } from '../summary.ts';

/** A run of the grid: a value for each key, and what came of it. */
export interface GridRun {
  readonly values: readonly unknown[];
  readonly result: Readonly<Record<string, unknown>>;
}

/**
 * The key with the most values (the first of equals) lies along x; every combination of the others is a line. Runs
 * without the metric are left out.
 * @param keys of the values of each run
 */
export function gridFigure(keys: readonly string[], runs: readonly GridRun[], metric: string): Figure {
  const counts = keys.map((_, i) => new Set(runs.map(({ values }) => nameOf(values[i]))).size);
  const along = counts.indexOf(Math.max(...counts));
  const others = keys.flatMap((key, i) => (i === along ? [] : [{ key, i }]));
  const measured = runs.filter(({ result }) => typeof result[metric] === 'number');
  const x = { label: keys[along], scale: scaleOf(runs.map(({ values }) => values[along])) };
  const lineOf = ({ values }: GridRun) =>
    others.map(({ key, i }) => `${lastPart(key)} ${nameOf(values[i])}`).join(', ');
  const series = [...groupBy(measured, lineOf)].map(([name, found]): Series => {
    const points = found.map(({ values, result }) => {
      const value = values[along];
      return {
        x: x.scale === 'point' || typeof value !== 'number' ? nameOf(value) : value,
        y: Number(result[metric]),
      };
    });
    if (x.scale !== 'point') points.sort((a, b) => Number(a.x) - Number(b.x));
    return { name: name === '' ? metric : name, mark: 'line', points };
  });
  return {
    kind: 'figure',
    name: 'sweep',
    title: `${metric} over ${lastPart(keys[along])}`,
    caption: 'The last value of every run of the grid.',
    x,
    y: { label: metric },
    series,
    source: [],
  };
}

/** Numbers that span more than a factor of ten are spread by their logarithms; what is no number is a name. */
function scaleOf(values: readonly unknown[]): NonNullable<Axis['scale']> {
  const numbers = values.filter((value): value is number => typeof value === 'number');
  if (numbers.length < values.length) return 'point';
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
  return least > 0 && most > 10 * least ? 'log' : 'linear';
}

function nameOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function lastPart(key: string): string {
  return key.slice(key.lastIndexOf('.') + 1);
}
