/** What analyses are made from, and what to say where some of it is missing. */
import { InputError } from '../errors.ts';
import type { ScoredLine } from '../score/record.ts';

export type MetricsRow = Readonly<Record<string, number>>;

export interface Run {
  readonly name: string;
  readonly directory: string;
  /** Lines of metrics.jsonl: those of steps, and those of evaluations with names that begin with eval_. */
  readonly metrics: readonly MetricsRow[];
  /** Of config.yaml and run.json; undefined for a run that has not ended. */
  readonly facts: RunFacts | undefined;
}

/** What the records of a run say. */
export interface RunFacts {
  readonly seconds: number;
  readonly step: number;
  readonly device: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly samples?: readonly { readonly prompt: string; readonly before: string; readonly after: string }[];
}

/** A file of `prefgrad score`, without the rows that were dropped. */
export interface Scores {
  readonly name: string;
  readonly path: string;
  readonly pairs: readonly ScoredLine[];
}

/** One setting of a sweep and what came of it: a method's name, settings and metrics. */
export type Setting = Readonly<Record<string, string | number>>;

/** FILE.report.json of `prefgrad bridge` and its like. */
export interface CostReport {
  readonly name: string;
  readonly path: string;
  readonly values: Readonly<Record<string, number>>;
}

export interface Material {
  readonly runs: readonly Run[];
  readonly scores: readonly Scores[];
  /** Rows of --sweep, and one for every run that has ended. */
  readonly settings: readonly Setting[];
  readonly reports: readonly CostReport[];
  /** The metric of figures over a setting. */
  readonly metric: string;
  /** The method that figures over a setting draw as a dotted line. */
  readonly baseline: string | undefined;
  /** The divergence that epsilon-4b is drawn over. */
  readonly kl: string;
  /** MIPO's beta, for the figures of its formula. */
  readonly beta: number;
}

/** An analysis lacks a source; `--all` passes over it. */
export class MissingSource extends InputError {
  override name = 'MissingSource';
}

/** @throws MissingSource for an empty list */
export function needed<T>(values: readonly T[], missing: string): readonly T[] {
  if (values.length === 0) throw new MissingSource(missing);
  return values;
}

/** Score files whose lines have log-probs of the reference. @throws MissingSource where there are none */
export function referenced({ scores }: Material): readonly Scores[] {
  const complete = scores.filter(({ pairs }) => pairs.length > 0 && pairs[0].chosen.ref_logps !== undefined);
  return needed(complete, 'needs --scores NAME=FILE, written by "prefgrad score --reference DIR".');
}
