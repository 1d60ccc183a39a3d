/**
 * Conversations: lists of {role, content}, or of sharegpt's {from, value}, and what two of them share.
 */

import type { Field, RowReader } from './columns.ts';
import { isObject, typeName } from './json.ts';

/** One message. Other keys (tool_calls, name, ...) go to the chat template as they are. */
export interface Turn {
  readonly role: string;
  readonly content: string;
  readonly [key: string]: unknown;
}

/** sharegpt's tags (LLaMA-Factory's and its relatives') and the roles chat templates know. */
const ROLE_OF_TAG = new Map([
  ['human', 'user'],
  ['user', 'user'],
  ['gpt', 'assistant'],
  ['assistant', 'assistant'],
  ['system', 'system'],
  ['observation', 'tool'],
  ['tool', 'tool'],
  ['function', 'assistant'],
  ['function_call', 'assistant'],
]);

/** True for what can be read as a conversation: a list, or one message. */
export function isConversation(value: unknown): boolean {
  return Array.isArray(value) || isObject(value);
}

/** Reads a list of messages (or one message) from a field. Throws `InputError` naming the message that is wrong. */
export function readTurns(row: RowReader, field: Field): Turn[] {
  const value = row.get(field);
  const list: unknown[] = Array.isArray(value) ? value : (zipped(value) ?? [value]);
  if (list.length === 0)
    throw row.error(field, 'is an empty conversation', 'give it a message or drop the row');
  return list.map((turn, i) => readTurn(row, field, turn, i + 1));
}

/** A list of structs, stored as some libraries do: one struct of lists, {role: [...], content: [...]}. */
function zipped(value: unknown): unknown[] | undefined {
  if (!isObject(value)) return undefined;
  const columns = Object.entries(value).filter((entry): entry is [string, unknown[]] =>
    Array.isArray(entry[1]),
  );
  const [first] = columns;
  if (first === undefined || columns.length !== Object.keys(value).length) return undefined;
  return first[1].map((_, i) => Object.fromEntries(columns.map(([key, list]) => [key, list[i]])));
}

function readTurn(row: RowReader, field: Field, turn: unknown, number: number): Turn {
  const bad = (problem: string, fix: string) => row.error(field, `message ${number}: ${problem}`, fix);
  if (!isObject(turn)) {
    throw bad(
      `expected an object, found ${typeName(turn)}`,
      "write messages as {role: 'user', content: '...'}",
    );
  }
  const { role, content, from, value, ...rest } = turn;
  const tagged = role === undefined && from !== undefined;
  const tag = tagged ? from : role;
  if (typeof tag !== 'string' || !tag) {
    throw bad(
      `its role is ${typeName(tag)}`,
      "give it a 'role' (or, in sharegpt form, 'from') such as 'user'",
    );
  }
  const name = tagged ? ROLE_OF_TAG.get(tag) : tag;
  if (name === undefined) {
    throw bad(`unknown tag '${tag}'`, `use one of ${[...ROLE_OF_TAG.keys()].join(', ')}`);
  }
  const text = readContent(tagged ? value : content, 'tool_calls' in rest);
  if (text === undefined) {
    const found = typeName(tagged ? value : content);
    throw bad(
      `its ${tagged ? 'value' : 'content'} is ${found}`,
      'it must be text (images are not supported)',
    );
  }
  return { ...rest, role: name, content: text };
}

/** Text, or a list of {type: 'text', text} parts; a message that only calls tools may have none. */
function readContent(content: unknown, mayBeAbsent: boolean): string | undefined {
  if (typeof content === 'string') return content;
  if (content === undefined || content === null) return mayBeAbsent ? '' : undefined;
  if (!Array.isArray(content)) return undefined;
  let text = '';
  for (const part of content) {
    if (!isObject(part) || typeof part.text !== 'string') return undefined;
    text += part.text;
  }
  return text;
}

/**
 * The length of the prompt that two conversations share, as TRL's `extract_prompt` finds it: up to the first message
 * that differs, and never all of the shorter one.
 */
export function sharedTurns(chosen: readonly Turn[], rejected: readonly Turn[]): number {
  const most = Math.min(chosen.length, rejected.length) - 1;
  for (let i = 0; i < most; i++) {
    if (JSON.stringify(sorted(chosen[i])) !== JSON.stringify(sorted(rejected[i]))) return i;
  }
  return Math.max(most, 0);
}

function sorted(turn: Turn | undefined): [string, unknown][] {
  return Object.entries(turn ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * The length of the prompt that two strings share, by the same rule; a space at its end goes to the answers, and no
 * surrogate pair is cut.
 */
export function sharedText(chosen: string, rejected: string): number {
  const most = Math.max(Math.min(chosen.length, rejected.length) - 1, 0);
  let length = 0;
  while (length < most && chosen.charCodeAt(length) === rejected.charCodeAt(length)) length++;
  if (length > 0 && /[\uD800-\uDBFF]/.test(chosen.charAt(length - 1))) length--;
  if (length > 0 && chosen.charAt(length - 1) === ' ') length--;
  return length;
}
