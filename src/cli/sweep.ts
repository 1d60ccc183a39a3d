/**
 * A grid of runs. Each has a directory of its own below that of the sweep, so that a sweep which was stopped goes on where
 * it was: runs that are finished are left alone, and one that has a checkpoint continues from it.
 */
import { YAMLParseError } from 'yaml';
import type { Figure } from '../analyze/figure.ts';
import { gridFigure } from '../analyze/figures/grid.ts';
import type { JsonObject } from '../data/json.ts';
import { readRows } from '../data/sources/read-rows.ts';
import { InputError, InputErrors } from '../errors.ts';
import { latestCheckpoint } from '../formats/checkpoint.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { readOutcome } from '../train/read-record.ts';
import { parseYaml } from '../yaml-values.ts';

/** A key of the configuration and the values that it takes. */
export interface Axis {
  readonly key: string;
  readonly values: readonly unknown[];
}

/** One point of the grid. */
export interface SweepRun {
  /** Name of its directory, such as 'beta=2,learning_rate=5e-7'. */
  readonly name: string;
  readonly directory: string;
  readonly values: readonly unknown[];
  /** As `--set` takes them. */
  readonly set: readonly string[];
}

/** Reads 'training.learning_rate=3e-7,5e-7'. @throws InputError for anything else */
export function parseAxis(text: string): Axis {
  const equals = text.indexOf('=');
  const key = text.slice(0, Math.max(0, equals)).trim();
  if (key === '')
    throw new InputError(`--grid ${text}: expected KEY=VALUE,VALUE,..., such as objective.settings.beta=2,5`);
  const values = valuesOf(`[${text.slice(equals + 1)}]`, `--grid ${key}: the values are no YAML list`);
  return axis(`--grid ${key}`, key, values);
}

/** The axes of a file: a YAML mapping of keys to lists of values. @throws InputError for anything else */
export async function readAxes(files: FileSystem, file: string): Promise<Axis[]> {
  const grid = valuesOf(await files.readText(file), `${file}: is no YAML`);
  if (typeof grid !== 'object' || grid === null || Array.isArray(grid))
    throw new InputError(`${file}: expected keys of the configuration, each with a list of values`);
  return Object.entries(grid).map(([key, values]) => axis(`${file}: ${key}`, key, values));
}

/** @param problem - what an InputError says of text that cannot be read */
function valuesOf(text: string, problem: string): unknown {
  try {
    return parseYaml(text);
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    throw new InputError(`${problem} (${error.message.split('\n')[0]}); quote what is a text`);
  }
}

function axis(where: string, key: string, values: unknown): Axis {
  if (!Array.isArray(values) || values.length === 0)
    throw new InputError(`${where}: expected at least one value`);
  return { key, values };
}

/** Every combination of values; the last axis changes fastest. @throws InputErrors for keys that are there twice */
export function gridRuns(axes: readonly Axis[], directory: string): SweepRun[] {
  const keys = axes.map(({ key }) => key);
  const twice = keys.filter((key, i) => keys.indexOf(key) !== i);
  if (twice.length > 0) throw new InputErrors('The grid has keys twice:', twice);
  let points: unknown[][] = [[]];
  for (const { values } of axes) points = points.flatMap((point) => values.map((value) => [...point, value]));
  return points.map((values) => {
    const name = values.map((value, i) => `${shortName(keys[i], keys)}=${valueText(value)}`).join(',');
    const place = `${directory}/${name}`;
    const set = values.map((value, i) => `${keys[i]}=${JSON.stringify(value)}`);
    return { name, directory: place, values, set: [...set, `output_dir=${JSON.stringify(place)}`] };
  });
}

/** The last part of a key, or all of it where two would be the same. */
function shortName(key: string, keys: readonly string[]): string {
  const last = (text: string) => text.slice(text.lastIndexOf('.') + 1);
  return keys.filter((other) => last(other) === last(key)).length === 1 ? last(key) : key;
}

/** Free of what a file name cannot have. */
function valueText(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.replaceAll(/[^\w.+-]+/g, '_');
}

export type RunState = 'finished' | 'begun' | 'new';

/** How far a run has come. The caller must not be training it. */
export async function stateOf(files: FileSystem, directory: string): Promise<RunState> {
  if ((await readOutcome(files, directory))?.outcome === 'finished') return 'finished';
  return (await latestCheckpoint(files, directory)) === undefined ? 'new' : 'begun';
}

/** Columns that a table shows where runs have them. */
const SHOWN = [
  'eval_loss',
  'eval_rewards/accuracies',
  'eval_rewards/margins',
  'loss',
  'rewards/accuracies',
  'rewards/margins',
];
/** What a sweep is drawn over, the first that there is: a loss means another thing at every beta, an accuracy does not. */
const DRAWN = ['eval_rewards/accuracies', 'eval_loss', 'rewards/accuracies', 'loss'];

/** A run's last metrics (those of the evaluation, where there was one), `steps` and `seconds`; empty before its end. */
export type SweepResult = Readonly<Record<string, unknown>>;

export interface SweepTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}

export function sweepResults(files: FileSystem, runs: readonly SweepRun[]): Promise<SweepResult[]> {
  return Promise.all(runs.map(({ directory }) => resultOf(files, directory)));
}

async function resultOf(files: FileSystem, directory: string): Promise<SweepResult> {
  const outcome = await readOutcome(files, directory);
  if (outcome === undefined) return {};
  let trained: JsonObject = {};
  for await (const { value } of readRows(files, `${directory}/metrics.jsonl`))
    if ('loss' in value) trained = value;
  const { after, global_step: steps, wall_time_seconds: seconds } = outcome;
  return { ...trained, ...after, steps, seconds };
}

/** A row per run: its values, its metrics and what it took. */
export function sweepTable(
  axes: readonly Axis[],
  runs: readonly SweepRun[],
  results: readonly SweepResult[],
): SweepTable {
  const shown = SHOWN.filter((name) => results.some((result) => result[name] !== undefined));
  const columns = [...axes.map(({ key }) => key), ...shown, 'steps', 'seconds'];
  const rows = runs.map(({ values }, i) => [
    ...values,
    ...[...shown, 'steps', 'seconds'].map((name) => results[i][name] ?? ''),
  ]);
  return { columns, rows };
}

/**
 * A metric of the results over the grid; undefined while no run has ended.
 * @param metric as the user names it; undefined: the first usual one that there is
 * @throws InputError for a metric that no run has
 */
export function sweepFigure(
  axes: readonly Axis[],
  runs: readonly SweepRun[],
  results: readonly SweepResult[],
  metric?: string,
): Figure | undefined {
  const names = [...new Set(results.flatMap((result) => Object.keys(result)))];
  if (names.length === 0) return undefined;
  const drawn = metric ?? DRAWN.find((name) => names.includes(name));
  if (drawn === undefined || !names.includes(drawn))
    throw new InputError(`--metric ${drawn}: no run has it; there are ${names.sort().join(', ')}.`);
  return gridFigure(
    axes.map(({ key }) => key),
    runs.map(({ values }, i) => ({ values, result: results[i] })),
    drawn,
  );
}

export function csvText({ columns, rows }: SweepTable): string {
  const cell = (value: unknown) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => `${row.map(cell).join(',')}\n`).join('');
}

/** Columns padded to the same width, numbers to four digits. */
export function tableText({ columns, rows }: SweepTable): string {
  const cell = (value: unknown) =>
    typeof value === 'number' ? String(Number(value.toPrecision(4))) : String(value);
  const cells = [columns, ...rows].map((row) => row.map(cell));
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i].length)));
  return cells.map((row) => `${row.map((text, i) => text.padStart(widths[i])).join('  ')}\n`).join('');
}
