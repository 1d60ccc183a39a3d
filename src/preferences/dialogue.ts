/** Prompts and answers as the pipelines see them: in the form in which the data has them, and as plain text. */
import type { Columns, Where } from '../data/columns.ts';
import { RowReader, rowError } from '../data/columns.ts';
import { isConversation, readTurns, type Turn } from '../data/conversations.ts';
import { isObject, type JsonObject } from '../data/json.ts';
import { withSystem } from '../data/row-forms.ts';
import { readRow } from '../data/rows.ts';
import type { RawRow } from '../data/sources/raw-row.ts';

/** Text to be continued as it is, or messages for the chat template. */
export type Prompt = string | readonly Turn[];

/** A prompt with a better and a worse answer, each a text. */
export interface AnswerPair {
  readonly prompt: Prompt;
  readonly chosen: string;
  readonly rejected: string;
}

/** Columns that say what `prompt`, `chosen` and `rejected` then say (a row that is written has only one form), and their weights. */
const FORM_COLUMNS = [
  ...['prompt', 'chosen', 'rejected', 'completion', 'conversations', 'messages', 'system'],
  ...['chosen_weights', 'rejected_weights', 'completion_weights'],
];

/** The prompt of a row of any form, the answers of which are not needed. @throws InputError naming file and line */
export function readPrompt(raw: RawRow, columns: Columns = {}): Prompt {
  const row = new RowReader(raw, columns);
  const value = row.get('prompt');
  if (typeof value === 'string' && !Array.isArray(row.get('chosen'))) return value;
  if (isConversation(value)) return withSystem(row, readTurns(row, 'prompt'));
  if (row.has('chosen') && row.has('rejected'))
    return readRow(raw, { columns, expects: 'paired' }).texts.prompt;
  if (row.has('conversations')) {
    const turns = withSystem(row, readTurns(row, 'conversations'));
    const prompt = turns.at(-1)?.role === 'assistant' ? turns.slice(0, -1) : turns;
    if (prompt.length > 0) return prompt;
  }
  throw row.missing('prompt');
}

/** The pair of a row of any form. @throws InputError, also for an answer of several messages, which no text can replace */
export function readPair(raw: RawRow, columns: Columns = {}): AnswerPair {
  const { texts } = readRow(raw, { columns, expects: 'paired' });
  if (!texts.conversational) {
    const [chosen, rejected] = texts.answers;
    return { prompt: texts.prompt, chosen, rejected };
  }
  const [chosen, rejected] = texts.answers.map((turns, i) =>
    singleMessage(turns, i === 0 ? 'chosen' : 'rejected', raw),
  );
  return { prompt: texts.prompt, chosen, rejected };
}

function singleMessage(turns: readonly Turn[], field: string, where: Where): string {
  const [turn] = turns;
  if (turns.length === 1 && turn !== undefined) return turn.content;
  throw rowError(
    where,
    `field '${field}' is an answer of ${turns.length} messages`,
    'only answers of one message can be compared and edited; drop the row',
  );
}

/** A row for `train`: these fields, and whatever other columns the source had. */
export function writtenRow(index: number, raw: RawRow, fields: JsonObject): JsonObject {
  const others = Object.entries(raw.value).filter(
    ([name]) => name !== 'index' && !FORM_COLUMNS.includes(name),
  );
  return { index, ...fields, ...Object.fromEntries(others.filter(([name]) => !Object.hasOwn(fields, name))) };
}

/** An answer in the form of its prompt: text, or a list with one message. */
export function answerLike(prompt: Prompt, text: string): string | Turn[] {
  return typeof prompt === 'string' ? text : [{ role: 'assistant', content: text }];
}

/** The text of an answer that `answerLike` wrote. */
export function answerText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const last: unknown = Array.isArray(value) ? value.at(-1) : undefined;
  return isObject(last) && typeof last.content === 'string' ? last.content : undefined;
}

/** A prompt for a reader: one message as it is, several with the speaker before each. */
export function promptText(prompt: Prompt): string {
  if (typeof prompt === 'string') return prompt;
  if (prompt.length === 1) return prompt[0].content;
  return prompt.map(({ role, content }) => `[${role}]\n${content}`).join('\n\n');
}

/** A prompt as a request: messages for a chat, text for a completion. */
export function promptRequest(
  prompt: Prompt,
): { readonly prompt: string } | { readonly messages: readonly { role: string; content: string }[] } {
  return typeof prompt === 'string'
    ? { prompt }
    : { messages: prompt.map(({ role, content }) => ({ role, content })) };
}
