/**
 * The bodies of TRL's and sharegpt's rows: where the prompt is, and where the answers are.
 */

import type { Field, RowReader } from './columns.ts';
import { isConversation, readTurns, sharedText, sharedTurns, type Turn } from './conversations.ts';
import { typeName } from './json.ts';
import type { ChatTexts, PlainTexts } from './rows.ts';

/** Prompt and answers of a row. */
export type Body = PlainTexts | ChatTexts;

/**
 * TRL's forms. Strings make a plain row, lists of messages a conversational one; in a mixed row a string prompt is the
 * user's message and a string answer the assistant's. Without a prompt (or where the answers repeat it, as in
 * UltraFeedback) it is what the two answers share.
 */
export function trlBody(row: RowReader, kind: 'pair' | 'unpaired'): Body {
  const fields: readonly Field[] = kind === 'pair' ? ['chosen', 'rejected'] : ['completion'];
  for (const field of fields) if (!row.has(field)) throw row.missing(field);
  if (kind === 'unpaired' && !row.has('prompt')) throw row.missing('prompt');
  const all: readonly Field[] = [...fields, 'prompt'];
  return all.some((field) => isConversation(row.get(field))) ? chatBody(row, fields) : plainBody(row, fields);
}

/** sharegpt: `conversations` is the prompt of a pair; of a labelled row it is the prompt and the answer. */
export function sharegptBody(row: RowReader, kind: 'pair' | 'unpaired'): ChatTexts {
  if (!row.has('conversations')) throw row.missing('conversations');
  const turns = withSystem(row, readTurns(row, 'conversations'));
  if (kind === 'pair') {
    const fields: readonly Field[] = ['chosen', 'rejected'];
    return checkedChat(
      row,
      'conversations',
      fields,
      turns,
      fields.map((field) => readAnswer(row, field)),
    );
  }
  return checkedChat(row, 'conversations', ['conversations'], turns.slice(0, -1), [turns.slice(-1)]);
}

function plainBody(row: RowReader, fields: readonly Field[]): PlainTexts {
  const answers = fields.map((field) => readText(row, field));
  const [chosen = '', rejected = ''] = answers;
  const shared = row.has('prompt') ? 0 : sharedText(chosen, rejected);
  const prompt = row.has('prompt') ? readText(row, 'prompt') : chosen.slice(0, shared);
  const rest = answers.map((answer) => answer.slice(shared));
  rest.forEach((answer, i) => {
    if (!answer.trim()) throw emptyAnswer(row, fields[i] ?? 'chosen');
  });
  return { conversational: false, prompt, answers: rest };
}

function chatBody(row: RowReader, fields: readonly Field[]): ChatTexts {
  const answers = fields.map((field) => readAnswer(row, field));
  const given = row.get('prompt');
  if (isConversation(given)) {
    return checkedChat(row, 'prompt', fields, withSystem(row, readTurns(row, 'prompt')), answers);
  }
  const [chosen = [], rejected = chosen] = answers;
  const shared = fields.length === 2 ? sharedTurns(chosen, rejected) : 0;
  if (shared > 0) {
    const rest = answers.map((answer) => answer.slice(shared));
    return checkedChat(row, 'chosen', fields, withSystem(row, chosen.slice(0, shared)), rest);
  }
  if (given === undefined) {
    throw row.error(
      'prompt',
      'is missing and the answers share no first message',
      "give a 'prompt', or begin chosen and rejected with the same messages",
    );
  }
  const user: Turn = { role: 'user', content: readText(row, 'prompt') };
  return checkedChat(row, 'prompt', fields, withSystem(row, [user]), answers);
}

/** An answer of a conversational row: messages, one message, or its text. */
export function readAnswer(row: RowReader, field: Field): Turn[] {
  const value = row.get(field);
  return typeof value === 'string' ? [{ role: 'assistant', content: value }] : readTurns(row, field);
}

/** sharegpt data may hold the system message in a column of its own. */
export function withSystem(row: RowReader, turns: Turn[]): Turn[] {
  const system = row.get('system');
  if (typeof system !== 'string' || !system || turns[0]?.role === 'system') return turns;
  return [{ role: 'system', content: system }, ...turns];
}

/** A prompt ends before the assistant speaks; an answer begins and ends with the assistant and says something. */
export function checkedChat(
  row: RowReader,
  promptField: Field,
  answerFields: readonly Field[],
  prompt: readonly Turn[],
  answers: readonly (readonly Turn[])[],
): ChatTexts {
  const last = prompt.at(-1);
  if (last === undefined) {
    throw row.error(promptField, 'has no message before the answer', 'the prompt needs at least one message');
  }
  if (last.role === 'assistant') {
    throw row.error(
      promptField,
      'ends with a message of the assistant',
      'end it with the user, and give the answer in its own field',
    );
  }
  answers.forEach((answer, i) => {
    const field = answerFields[i] ?? promptField;
    const [first, final] = [answer[0], answer.at(-1)];
    if (first?.role !== 'assistant' || final?.role !== 'assistant') {
      const role = first?.role === 'assistant' ? final?.role : first?.role;
      throw row.error(
        field,
        `has an answer by '${role}'`,
        "an answer's first and last role must be 'assistant'",
      );
    }
    if (!final.content.trim() && !('tool_calls' in final)) throw emptyAnswer(row, field);
  });
  return { conversational: true, prompt, answers };
}

export function readText(row: RowReader, field: Field): string {
  const value = row.get(field);
  if (typeof value === 'string') return value;
  throw row.error(field, `is ${typeName(value)}, not a string`, 'write it as text, or as a list of messages');
}

export function emptyAnswer(row: RowReader, field: Field) {
  return row.error(field, 'is an empty answer', 'drop the row or give the answer some text');
}
