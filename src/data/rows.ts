/**
 * Rows of preference data in the forms people have (TRL's, standard or conversational, with or without a prompt, and
 * sharegpt's) brought into two: a pair of answers, or one answer with a label.
 */

import { type Columns, type Field, RowReader } from './columns.ts';
import type { Turn } from './conversations.ts';
import { dialogueBody } from './dialogues.ts';
import { checkFormat, type DataFormat, detectFormat, type RowFormat } from './formats.ts';
import { type Body, sharegptBody, trlBody } from './row-forms.ts';
import type { RawRow } from './sources/raw-row.ts';
import { readWeights, type Weights } from './weights.ts';

/** Prompt and answers as text. */
export interface PlainTexts {
  readonly conversational: false;
  readonly prompt: string;
  /** [chosen, rejected] or [completion]. */
  readonly answers: readonly string[];
}

/** Prompt and answers as messages, to be written out by the chat template. An answer may have several messages. */
export interface ChatTexts {
  readonly conversational: true;
  readonly prompt: readonly Turn[];
  readonly answers: readonly (readonly Turn[])[];
}

interface Common {
  readonly file: string;
  /** 1-based line in the file. */
  readonly line: number;
  /** The form it was read as. */
  readonly format: RowFormat;
  readonly texts: PlainTexts | ChatTexts;
  /** One entry per answer; undefined where the data gives no weights. */
  readonly weights: readonly (Weights | undefined)[];
}

export type DataRow =
  | (Common & { readonly kind: 'pair' })
  | (Common & { readonly kind: 'unpaired'; readonly label: boolean });

/** What a method can learn from: pairs, labelled answers, or (KTO) both. */
export type Expects = 'paired' | 'unpaired' | 'either';

/** How rows are to be read. */
export interface RowSettings {
  readonly columns?: Columns;
  /** Default 'auto'. */
  readonly format?: DataFormat;
  /** Default 'either'. */
  readonly expects?: Expects;
  /** The method, where it cannot use token weights; a row that has some is then an error. */
  readonly refusesWeights?: string;
}

/** Reads one row. Throws `InputError` naming file, line, field and remedy. */
export function readRow(raw: RawRow, settings: RowSettings = {}): DataRow {
  const { columns = {}, format = 'auto', expects = 'either' } = settings;
  const row = new RowReader(raw, columns);
  const kind = kindOf(row, expects);
  const fields: readonly Field[] = kind === 'pair' ? ['chosen', 'rejected'] : ['label'];
  for (const field of fields) if (!row.has(field)) throw row.missing(field);

  const form = format === 'auto' ? detectFormat(row) : format;
  if (format !== 'auto') checkFormat(row, form);
  const texts = bodyOf(row, form, kind);
  const weights = weightsOf(row, kind, settings.refusesWeights);
  const { file, line } = row.where;
  const common = { file, line, format: form, texts, weights };
  return kind === 'pair' ? { kind, ...common } : { kind, ...common, label: readLabel(row) };
}

function bodyOf(row: RowReader, form: RowFormat, kind: DataRow['kind']): Body {
  if (form === 'sharegpt') return sharegptBody(row, kind);
  return form === 'hh-rlhf' ? dialogueBody(row) : trlBody(row, kind);
}

function weightsOf(row: RowReader, kind: DataRow['kind'], refusedBy?: string): (Weights | undefined)[] {
  const fields: readonly Field[] =
    kind === 'pair' ? ['chosen_weights', 'rejected_weights'] : ['completion_weights'];
  return fields.map((field) => {
    if (refusedBy === undefined || !row.has(field)) return readWeights(row, field);
    throw row.error(
      field,
      `gives token weights, which ${refusedBy} does not take`,
      'remove the column, or use an objective that takes them, such as dpo',
    );
  });
}

/** Pair or labelled answer: what the row has, as far as the method can use it. */
function kindOf(row: RowReader, expects: Expects): 'pair' | 'unpaired' {
  const paired = row.has('chosen') || row.has('rejected');
  const labelled = row.has('label') || row.has('completion');
  if (expects === 'paired' && !paired && labelled) {
    const field = row.has('label') ? 'label' : 'completion';
    throw row.error(
      field,
      'makes this an unpaired row, but the method compares two answers',
      "give 'chosen' and 'rejected', or train with kto",
    );
  }
  if (expects === 'unpaired' && paired && !labelled) {
    const field = row.has('chosen') ? 'chosen' : 'rejected';
    throw row.error(
      field,
      'makes this a pair, but single answers with a label are wanted',
      "give 'completion' and 'label', or use a method that compares two answers",
    );
  }
  if (expects === 'unpaired') return 'unpaired';
  return paired || !labelled || expects === 'paired' ? 'pair' : 'unpaired';
}

function readLabel(row: RowReader): boolean {
  const label = row.get('label');
  if (typeof label === 'boolean') return label;
  const shown = JSON.stringify(label);
  throw row.error(
    'label',
    `is ${shown}, not a boolean`,
    'write true for a desirable answer, false otherwise',
  );
}
