/**
 * Everything that can be looked at, by name: models, score files, runs, and the rows at hand. Each says where it comes
 * from; the engine has only those models that somebody looked at.
 */
import type { Result } from '../../src/analyze/figure.ts';
import type { MethodChoice, ModelSource, PairText, ScoredPair } from '../worker/protocol.ts';

export interface ModelEntry {
  readonly kind: 'model';
  /** Its slot in the engine. */
  readonly id: string;
  readonly name: string;
  /** 'bundled example', 'your folder', 'run my-run'. */
  readonly origin: string;
  /** undefined: the engine makes it (the policy in training). */
  readonly source: ModelSource | undefined;
  /** The method it was trained with, where that is known. */
  readonly method: MethodChoice | undefined;
  /** The run it is a checkpoint of, and its optimizer step. */
  readonly run?: string;
  readonly step?: number;
}

export interface ScoresEntry {
  readonly kind: 'scores';
  readonly id: string;
  readonly name: string;
  readonly origin: string;
  /** In the order of its pairs; shown as they are. */
  readonly scored: readonly ScoredPair[];
  readonly pairs: readonly PairText[];
}

export type Entry = ModelEntry | ScoresEntry;

/** A run's log, and its checkpoints where it came as a directory. */
export interface RunEntry {
  readonly id: string;
  readonly name: string;
  readonly metrics: readonly Readonly<Record<string, number>>[];
  /** Ids of its models, by rising step; the final one last. */
  readonly models: readonly string[];
}

/** The pairs at hand. */
export interface Rows {
  readonly name: string;
  readonly origin: string;
  readonly pairs: readonly PairText[];
}

export class Library {
  readonly #entries = new Map<string, Entry>();
  readonly #runs = new Map<string, RunEntry>();
  /** By name: one that is opened again takes the place of the earlier one. */
  readonly #figures = new Map<string, Result>();
  #rows: Rows = { name: 'none', origin: 'none', pairs: [] };
  #numbers = 0;

  get entries(): readonly Entry[] {
    return [...this.#entries.values()];
  }

  get models(): readonly ModelEntry[] {
    return this.entries.filter((entry) => entry.kind === 'model');
  }

  get runs(): readonly RunEntry[] {
    return [...this.#runs.values()];
  }

  /** Figures and tables of `prefgrad analyze`. */
  get figures(): readonly Result[] {
    return [...this.#figures.values()];
  }

  get rows(): Rows {
    return this.#rows;
  }

  set rows(rows: Rows) {
    this.#rows = rows;
  }

  find(id: string): Entry | undefined {
    return this.#entries.get(id);
  }

  add(entry: Entry): Entry {
    this.#entries.set(entry.id, entry);
    return entry;
  }

  addRun(run: RunEntry): void {
    this.#runs.set(run.id, run);
  }

  addFigure(figure: Result): void {
    this.#figures.set(figure.name, figure);
  }

  remove(id: string): void {
    this.#entries.delete(id);
  }

  /** An id of its own for something the user brought: 'run-2'. */
  newId(prefix: string): string {
    return `${prefix}-${++this.#numbers}`;
  }
}

/** The run that a model is a checkpoint of. */
export function runOf(library: Library, entry: Entry | undefined): RunEntry | undefined {
  return entry?.kind === 'model' ? library.runs.find(({ id }) => id === entry.run) : undefined;
}
