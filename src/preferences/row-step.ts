/** What one pipeline does with one row; `run-rows.ts` does the rest. */
import type { JsonObject } from '../data/json.ts';
import type { RawRow } from '../data/sources/raw-row.ts';
import type { LlmRequest } from '../llm/request.ts';

/** A row to be written, or the reason why there is none. */
export type Outcome =
  | { readonly kind: 'row'; readonly value: JsonObject }
  | { readonly kind: 'dropped'; readonly reason: string; readonly detail?: JsonObject };

export interface RowStep<T> {
  /** Everything that decides the output, for the settings file and for --resume, which wants the same. */
  readonly settings: JsonObject;
  /** Checks and parses. @throws InputError for a row that cannot be used */
  read(raw: RawRow): T;
  /** @throws LlmError where the row failed for now; another run may do better */
  run(item: T, index: number, raw: RawRow): Promise<Outcome>;
  /** What the row would ask first, for --dry-run. */
  requests(item: T, index: number): readonly LlmRequest[];
  /** Numbers over the rows that were written, for the report. */
  summary?(rows: AsyncIterable<JsonObject>): Promise<JsonObject>;
}
