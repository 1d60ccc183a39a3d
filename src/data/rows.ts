/**
 * Rows in the forms people have (TRL's, standard or conversational, with or without a prompt, sharegpt's, hh-rlhf's)
 * brought into two: a pair of answers, or one answer with a label.
 */

import { type Columns, type Field, RowReader } from './columns.ts';
import { completionBody, type LossOn } from './completions.ts';
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

/** What a method can learn from: pairs, labelled answers, both (KTO), or one answer that is as it should be (SFT). */
export type Expects = 'paired' | 'unpaired' | 'either' | 'chosen';

/** How rows are to be read. */
export interface RowSettings {
  readonly columns?: Columns;
  /** Default 'auto'. */
  readonly format?: DataFormat;
  /** Default 'either'. */
  readonly expects?: Expects;
  /** Where rows are conversations and one answer is learned: the last turn of the assistant (default), or all of them. */
  readonly lossOn?: LossOn;
  /** What a prompt that is a text becomes, with the text in place of {prompt}; conversations have a chat template. */
  readonly promptTemplate?: string;
  /** The method, where it cannot use token weights; a row that has some is then an error. */
  readonly refusesWeights?: string;
}

/** Reads one row. Throws `InputError` naming file, line, field and remedy. */
export function readRow(raw: RawRow, settings: RowSettings = {}): DataRow {
  const row = untemplatedRow(raw, settings);
  const { promptTemplate } = settings;
  if (promptTemplate === undefined || row.texts.conversational) return row;
  return { ...row, texts: { ...row.texts, prompt: inTemplate(promptTemplate, row.texts.prompt) } };
}

/** The place of the prompt in a template of prompts. */
export const PROMPT_PLACE = '{prompt}';

export const inTemplate = (template: string, prompt: string): string =>
  template.split(PROMPT_PLACE).join(prompt);

function untemplatedRow(raw: RawRow, settings: RowSettings): DataRow {
  const { columns = {}, format = 'auto', expects = 'either' } = settings;
  const row = new RowReader(raw, columns);
  if (expects === 'chosen') return chosenRow(row, settings);
  const kind = kindOf(row, expects);
  const fields: readonly Field[] = kind === 'pair' ? ['chosen', 'rejected'] : ['label'];
  for (const field of fields) if (!row.has(field)) throw row.missing(field);

  const form = format === 'auto' ? detectFormat(row) : format;
  if (format !== 'auto') checkFormat(row, form);
  const texts = bodyOf(row, form, kind);
  const weightFields: readonly Field[] =
    kind === 'pair' ? ['chosen_weights', 'rejected_weights'] : ['completion_weights'];
  const weights = weightFields.map((field) => weightsOf(row, field, settings.refusesWeights));
  const { file, line } = row.where;
  const common = { file, line, format: form, texts, weights };
  return kind === 'pair' ? { kind, ...common } : { kind, ...common, label: readLabel(row) };
}

/** The row's one answer: a completion, the end of a conversation, or the chosen one of a pair. */
function chosenRow(row: RowReader, settings: RowSettings): DataRow {
  const { format = 'auto', lossOn = 'completion' } = settings;
  const form = format === 'auto' ? detectFormat(row, true) : format;
  checkFormat(row, form);
  if (row.has('label') && !readLabel(row))
    throw row.error(
      'label',
      'is false: this answer is not one to learn',
      'drop the row, or use a method with labels',
    );
  const texts = completionBody(row, form, lossOn);
  const field = row.has('completion') ? 'completion_weights' : 'chosen_weights';
  const weights = [weightsOf(row, field, settings.refusesWeights)];
  return { kind: 'unpaired', ...row.where, format: form, texts, weights, label: true };
}

function bodyOf(row: RowReader, form: RowFormat, kind: DataRow['kind']): Body {
  if (form === 'sharegpt') return sharegptBody(row, kind);
  return form === 'hh-rlhf' ? dialogueBody(row) : trlBody(row, kind);
}

function weightsOf(row: RowReader, field: Field, refusedBy?: string): Weights | undefined {
  if (refusedBy === undefined || !row.has(field)) return readWeights(row, field);
  throw row.error(
    field,
    `gives token weights, which ${refusedBy} does not take`,
    'remove the column, or use an objective that takes them, such as dpo',
  );
}

/** Pair or labelled answer: what the row has, as far as the method can use it. */
function kindOf(row: RowReader, expects: Exclude<Expects, 'chosen'>): 'pair' | 'unpaired' {
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
