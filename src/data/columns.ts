/**
 * Which column of the data holds which field, and errors that say where a field is wrong and how to fix it.
 */

import { InputError } from '../errors.ts';
import type { JsonObject } from './json.ts';
import type { RawRow } from './sources/raw-row.ts';

/** The fields we read, with the columns tried when the user maps none; the first is the name used in messages. */
export const DEFAULT_COLUMNS = {
  prompt: ['prompt'],
  chosen: ['chosen'],
  rejected: ['rejected'],
  completion: ['completion'],
  label: ['label', 'kto_tag'],
  conversations: ['conversations', 'messages'],
  system: ['system'],
  chosen_weights: ['chosen_weights'],
  rejected_weights: ['rejected_weights'],
  completion_weights: ['completion_weights'],
} as const;

/** A field of a row. */
export type Field = keyof typeof DEFAULT_COLUMNS;

/** Every column that may be read: what of a file with many columns is worth reading. */
export function readColumns(columns: Columns): string[] {
  return [...Object.values(DEFAULT_COLUMNS).flat(), ...Object.values(columns)];
}

/** Field -> column of the data file, for files whose columns have other names. */
export type Columns = Partial<Record<Field, string>>;

/** Where a row stands. */
export interface Where {
  readonly file: string;
  readonly line: number;
}

/** One row read through the column mapping. */
export class RowReader {
  readonly where: Where;
  /** The columns of the file where its schema names them, else those of this row. */
  readonly #present: readonly string[];
  /** True where the schema says that no row of the file has another column. */
  readonly #hasSchema: boolean;
  readonly #value: JsonObject;
  readonly #columns: Columns;

  constructor(row: RawRow, columns: Columns) {
    this.where = row;
    this.#present = row.columns ?? Object.keys(row.value);
    this.#hasSchema = row.columns !== undefined;
    this.#value = row.value;
    this.#columns = columns;
  }

  /** The column a field is read from: the mapped one, else the first default that is there. */
  column(field: Field): string {
    const defaults: readonly string[] = DEFAULT_COLUMNS[field];
    const present = defaults.find((name) => Object.hasOwn(this.#value, name));
    return this.#columns[field] ?? present ?? defaults[0] ?? field;
  }

  /** The value of a field; undefined where the column is absent or null. */
  get(field: Field): unknown {
    const column = this.column(field);
    return Object.hasOwn(this.#value, column) ? (this.#value[column] ?? undefined) : undefined;
  }

  has(field: Field): boolean {
    return this.get(field) !== undefined;
  }

  /** The error for a field that is not there. */
  missing(field: Field): InputError {
    const present = this.#present.join(', ') || 'none';
    const fix = `add it, or map another column to it with columns: {${field}: NAME} (columns here: ${present})`;
    const column = this.column(field);
    if (this.#hasSchema && !this.#present.includes(column)) {
      return new InputError(`${this.where.file}: column '${column}' is missing; ${fix}`);
    }
    return this.error(field, 'is missing', fix);
  }

  /** 'FILE:LINE: field 'x' PROBLEM; FIX'. */
  error(field: Field, problem: string, fix: string): InputError {
    return rowError(this.where, `field '${this.column(field)}' ${problem}`, fix);
  }
}

/** An `InputError` that names file and line. */
export function rowError(where: Where, problem: string, fix: string): InputError {
  return new InputError(`${where.file}:${where.line}: ${problem}; ${fix}`);
}
