/** Reads what analyses are made from: run directories, score files, sweeps and reports. */
import { readRows } from '../data/sources/read-rows.ts';
import { InputError } from '../errors.ts';
import { readJson } from '../formats/json-file.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { type ScoredLine, scoreLine } from '../score/record.ts';
import { readConfig, readOutcome } from '../train/read-record.ts';
import type { CostReport, Material, MetricsRow, Run, RunFacts, Scores, Setting } from './material.ts';

/** A path and the name under which it is shown. */
export interface Named {
  readonly name: string;
  readonly path: string;
}

export interface Sources {
  readonly runs: readonly Named[];
  readonly scores: readonly Named[];
  readonly sweeps: readonly string[];
  readonly reports: readonly Named[];
  readonly metric: string;
  readonly baseline: string | undefined;
  readonly kl: string;
  readonly beta: number;
}

/** @throws InputError naming the file that is missing or wrong */
export async function readMaterial(files: FileSystem, sources: Sources): Promise<Material> {
  const { metric, baseline, kl, beta } = sources;
  const runs = await inOrder(sources.runs, (named) => readRun(files, named));
  const scores = await inOrder(sources.scores, (named) => readScores(files, named));
  const reports = await inOrder(sources.reports, (named) => readReport(files, named));
  const swept = (await inOrder(sources.sweeps, (path) => readSweep(files, path))).flat();
  return { runs, scores, settings: joined(runs, swept), reports, metric, baseline, kl, beta };
}

async function inOrder<T, R>(values: readonly T[], read: (value: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const value of values) results.push(await read(value));
  return results;
}

export async function readRun(files: FileSystem, { name, path }: Named): Promise<Run> {
  const metricsPath = `${path}/metrics.jsonl`;
  if (!(await files.exists(metricsPath)))
    throw new InputError(
      `${path}: there is no metrics.jsonl in it; give a directory that "prefgrad train" wrote.`,
    );
  const metrics: MetricsRow[] = [];
  for await (const { file, line, value } of readRows(files, metricsPath)) {
    if (typeof value.step !== 'number') throw new InputError(`${file}:${line}: "step" must be a number.`);
    metrics.push(numbersOf(value));
  }
  const facts = await readFacts(files, path);
  return { name, directory: path, metrics, facts };
}

/** What src/train/run-record.ts wrote; undefined for a run that has not ended. */
async function readFacts(files: FileSystem, directory: string): Promise<RunFacts | undefined> {
  const outcome = await readOutcome(files, directory);
  if (outcome === undefined || !(await files.exists(`${directory}/config.yaml`))) return undefined;
  const { wall_time_seconds: seconds, global_step: step, samples } = outcome;
  return { seconds, step, samples, ...(await readConfig(files, directory)) };
}

export async function readScores(files: FileSystem, { name, path }: Named): Promise<Scores> {
  const pairs: ScoredLine[] = [];
  for await (const { file, line, value } of readRows(files, path)) {
    const parsed = scoreLine.safeParse(value);
    if (!parsed.success) {
      throw new InputError(
        `${file}:${line}: not a line of "prefgrad score" (docs/score.schema.json): ${parsed.error.issues[0].message}`,
      );
    }
    if (!('dropped' in parsed.data)) pairs.push(parsed.data);
  }
  return { name, path, pairs };
}

async function readSweep(files: FileSystem, path: string): Promise<Setting[]> {
  const rows: Setting[] = [];
  for await (const { file, line, value } of readRows(files, path)) {
    for (const [key, cell] of Object.entries(value)) {
      if (typeof cell !== 'string' && typeof cell !== 'number')
        throw new InputError(`${file}:${line}: "${key}" must be a number or a text.`);
    }
    rows.push(value as Setting);
  }
  return rows;
}

async function readReport(files: FileSystem, { name, path }: Named): Promise<CostReport> {
  if (!(await files.exists(path))) throw new InputError(`${path}: no such file.`);
  return { name, path, values: flatNumbers(await readJson(files, path)) };
}

/** Rows of sweeps and those of runs; a row of a sweep with `run` adds to the run of that name. */
function joined(runs: readonly Run[], swept: readonly Setting[]): Setting[] {
  const names = new Set(runs.map(({ name }) => name));
  const ofRuns = runs.flatMap((run) => {
    const added = swept.filter((row) => row.run === run.name);
    return run.facts === undefined && added.length === 0
      ? []
      : [Object.assign(settingOf(run), ...added) as Setting];
  });
  return [...ofRuns, ...swept.filter(({ run }) => run === undefined || !names.has(String(run)))];
}

/** A run's method, settings and last evaluation. */
function settingOf({ name, metrics, facts }: Run): Setting {
  const { objective } = (facts?.config ?? {}) as { objective?: RecordedObjective };
  const evaluated = metrics.findLast((row) => Object.keys(row).some((key) => key.startsWith('eval_')));
  return { run: name, ...(objective && objectiveSetting(objective)), ...evaluated };
}

interface RecordedObjective {
  readonly name: string;
  readonly settings?: object;
  readonly token_weights?: { readonly name: string; readonly settings?: object };
  /** The older way to write token_weights: {name: bmc}. */
  readonly bmc?: object;
}

/** 'dpo-bmc' with beta and delta: the method under the name of its token weights, and the numbers of both. */
function objectiveSetting({ name, settings, token_weights, bmc }: RecordedObjective): Setting {
  const weights = token_weights ?? (bmc && { name: 'bmc', settings: bmc });
  const method = weights === undefined ? name : `${name}-${weights.name}`;
  return { method, ...numbersOf({ ...settings, ...weights?.settings }) };
}

function numbersOf(values: Readonly<Record<string, unknown>>): MetricsRow {
  const numbers = Object.entries(values).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number',
  );
  return Object.fromEntries(numbers);
}

/** Numbers of nested objects, by their paths with dots. */
function flatNumbers(value: object, prefix = ''): Record<string, number> {
  return Object.assign(
    {},
    ...Object.entries(value).map(([key, inner]: [string, unknown]) => {
      if (typeof inner === 'number') return { [prefix + key]: inner };
      return typeof inner === 'object' && inner !== null ? flatNumbers(inner, `${prefix}${key}.`) : {};
    }),
  );
}
