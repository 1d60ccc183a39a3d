/** Tables of a report: settings of the runs, and their evaluation before and after. */
import type { Cell, Table } from '../figure.ts';
import type { Run } from '../material.ts';

/** Keys of the configuration, with the values of every run. */
export function settingsTable(runs: readonly Run[]): Table {
  const flat = runs.map(({ facts }) => flattened(facts?.config ?? {}));
  const keys = [...new Set(flat.flatMap((values) => [...values.keys()]))];
  const row = (key: string): Cell[] => [key, ...flat.map((values) => values.get(key) ?? null)];
  const differs = (key: string) => new Set(flat.map((values) => values.get(key))).size > 1;
  return {
    kind: 'table',
    name: 'settings',
    title: 'Settings',
    caption:
      runs.length > 1
        ? 'First the keys in which the runs differ, then those that they share.'
        : 'The configuration of the run.',
    columns: ['key', ...runs.map(({ name }) => name)],
    rows: [...keys.filter(differs), ...keys.filter((key) => !differs(key))].map(row),
    source: runs.map(({ directory }) => `${directory}/run.json`),
  };
}

/** Values by their paths with dots; lists as texts. */
export function flattened(value: object, prefix = ''): Map<string, string | number> {
  return new Map(
    Object.entries(value).flatMap(([key, inner]: [string, unknown]): [string, string | number][] => {
      if (inner === null || inner === undefined) return [];
      if (typeof inner === 'object' && !Array.isArray(inner))
        return [...flattened(inner, `${prefix}${key}.`)];
      return [[prefix + key, typeof inner === 'number' ? inner : String(inner)]];
    }),
  );
}

/** The first and the last evaluation of every run. */
export function evaluationTable(runs: readonly Run[]): Table {
  const evaluated = runs.map(({ metrics }) =>
    metrics.filter((row) => Object.keys(row).some((key) => key.startsWith('eval_'))),
  );
  const keys = [...new Set(evaluated.flat().flatMap((row) => Object.keys(row)))].filter((key) =>
    key.startsWith('eval_'),
  );
  return {
    kind: 'table',
    name: 'evaluation',
    title: 'Evaluation on held-out rows',
    caption: 'Of the first and of the last evaluation in metrics.jsonl; means over rows.',
    columns: ['metric', ...runs.flatMap(({ name }) => [`${name}, first`, `${name}, last`])],
    rows: keys.map((key) => [
      key,
      ...evaluated.flatMap((rows): Cell[] => [rows[0]?.[key] ?? null, rows.at(-1)?.[key] ?? null]),
    ]),
    source: runs.map(({ directory }) => `${directory}/metrics.jsonl`),
  };
}
