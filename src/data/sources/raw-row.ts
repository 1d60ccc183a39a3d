/** Rows before anybody has looked at what they mean. */
import type { JsonObject } from '../json.ts';

/** One row as it stands in the file. */
export interface RawRow {
  /** File name for messages. */
  readonly file: string;
  /** 1-based line on which the row begins; in Parquet the number of the row. */
  readonly line: number;
  readonly value: JsonObject;
  /** All columns of the file where its schema names them; `value` may hold fewer. */
  readonly columns?: readonly string[];
}
