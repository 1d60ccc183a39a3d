/** The forms of rows that have a name, how one is recognised, and what one that is named must have. */
import type { RowReader } from './columns.ts';
import { isObject } from './json.ts';

/** What `data.format` may say; 'auto' recognises the form row by row. */
export const DATA_FORMATS = ['auto', 'trl', 'kto', 'sharegpt', 'ultrafeedback', 'hh-rlhf', 'sft'] as const;

export type DataFormat = (typeof DATA_FORMATS)[number];

/** A form that a row can have. */
export type RowFormat = Exclude<DataFormat, 'auto'>;

/** The headers of Anthropic/hh-rlhf's dialogues. */
export const HH_HEADER = /(?:^|\n\n)(Human|Assistant):/;

/**
 * The form of a row, judged by its columns and by what the answers begin with.
 * @param single one answer is learned: a row without a chosen one is a completion or a conversation
 */
export function detectFormat(row: RowReader, single = false): RowFormat {
  if (single && !row.has('chosen')) return 'sft';
  const [prompt, chosen, rejected] = [row.get('prompt'), row.get('chosen'), row.get('rejected')];
  // Some TRL data sets carry a `messages` column beside a prompt or beside whole conversations.
  const isTrl = prompt !== undefined || row.has('completion') || Array.isArray(chosen);
  if (row.has('conversations') && !isTrl) return 'sharegpt';
  if (chosen === undefined && rejected === undefined) return 'kto';
  if (prompt === undefined && isDialogue(chosen) && isDialogue(rejected)) return 'hh-rlhf';
  return repeatsPrompt(prompt, chosen) && repeatsPrompt(prompt, rejected) ? 'ultrafeedback' : 'trl';
}

/** @throws InputError for a row that is not of the form that the configuration names */
export function checkFormat(row: RowReader, format: RowFormat): void {
  const answers = (['chosen', 'rejected'] as const).filter((field) => row.has(field));
  if (format === 'hh-rlhf') {
    for (const field of answers) {
      if (isDialogue(row.get(field))) continue;
      throw row.error(field, 'is no dialogue with Human: and Assistant: headers', 'use another data.format');
    }
  }
  if (format === 'ultrafeedback') {
    for (const field of answers) {
      if (repeatsPrompt(row.get('prompt'), row.get(field))) continue;
      throw row.error(field, 'is no list of messages that begins with the prompt', 'use data.format: trl');
    }
  }
  if (format === 'kto' && !row.has('label')) throw row.missing('label');
}

export function isDialogue(value: unknown): boolean {
  return typeof value === 'string' && /^\s*(Human|Assistant):/.test(value) && HH_HEADER.test(value.trim());
}

function repeatsPrompt(prompt: unknown, answer: unknown): boolean {
  const first: unknown = Array.isArray(answer) && answer.length > 1 ? answer[0] : undefined;
  return typeof prompt === 'string' && isObject(first) && first.content === prompt;
}
