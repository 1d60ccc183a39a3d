/** Runs side by side: what they ended with, and the keys of their configurations that differ. */
import { InputError } from '../errors.ts';
import type { MetricsRow, Run } from './material.ts';
import { flattened } from './report/tables.ts';

/** One line of a comparison; `values` has one for each run, null where a run has none. */
export interface ComparedRow {
  /** `outcome` of the run, `eval` and `train` metrics of their last line, `config` for keys that differ. */
  readonly kind: 'outcome' | 'eval' | 'train' | 'config';
  readonly key: string;
  readonly values: readonly (number | string | null)[];
}

/** @throws InputError for names that are there twice */
export function compareRuns(runs: readonly Run[]): ComparedRow[] {
  const names = runs.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new InputError(`Two runs are named ${twice}; give one another name with NAME=DIR.`);
  return [
    ...rows('outcome', runs.map(outcomeOf)),
    ...rows(
      'eval',
      runs.map(({ metrics }) => lastWith(metrics, true)),
    ),
    ...rows(
      'train',
      runs.map(({ metrics }) => lastWith(metrics, false)),
    ),
    ...rows(
      'config',
      runs.map(({ facts }) => Object.fromEntries(flattened(facts?.config ?? {}))),
    ).filter(({ key, values }) => key !== 'output_dir' && new Set(values).size > 1),
  ];
}

/** A line for every key that any run has, in the order in which they come up. */
function rows(
  kind: ComparedRow['kind'],
  found: readonly Readonly<Record<string, number | string>>[],
): ComparedRow[] {
  const keys = [...new Set(found.flatMap((values) => Object.keys(values)))];
  return keys.map((key) => ({ kind, key, values: found.map((values) => values[key] ?? null) }));
}

function outcomeOf({ facts }: Run): Record<string, number | string> {
  return facts === undefined ? {} : { steps: facts.step, seconds: facts.seconds, device: facts.device };
}

/** The last evaluation, or the last line of training, without its step. */
function lastWith(metrics: readonly MetricsRow[], isEval: boolean): Record<string, number> {
  const isOne = (row: MetricsRow) => Object.keys(row).some((key) => key.startsWith('eval_'));
  const { step: _, ...values } = metrics.findLast((row) => isOne(row) === isEval) ?? {};
  return Object.fromEntries(Object.entries(values).filter(([key]) => !isEval || key.startsWith('eval_')));
}
