/**
 * Rows for supervised fine-tuning: {prompt, completion}, a conversation in `messages`, with or without a prompt before it,
 * or the chosen answer of a pair. Other answers are not read.
 */
import type { Field, RowReader } from './columns.ts';
import { isConversation, readTurns, sharedText, type Turn } from './conversations.ts';
import { dialogueTurns } from './dialogues.ts';
import type { RowFormat } from './formats.ts';
import { type Body, checkedChat, emptyAnswer, readAnswer, readText, withSystem } from './row-forms.ts';
import type { PlainTexts } from './rows.ts';

/** What of a conversation is in the loss: the answer that it ends with, or every turn of the assistant. */
export const LOSS_ON = ['completion', 'assistant_turns'] as const;
export type LossOn = (typeof LOSS_ON)[number];

/** Where the answer may stand, in the order of preference. */
const FIELDS = ['completion', 'chosen', 'conversations'] as const satisfies Field[];

/** Prompt and one answer. @throws InputError naming file, line, field and remedy */
export function completionBody(row: RowReader, format: RowFormat, lossOn: LossOn): Body {
  const field = FIELDS.find((name) => row.has(name));
  if (field === undefined) throw row.missing('completion');
  if (format === 'hh-rlhf') return conversation(row, field, dialogueTurns(readText(row, field)), lossOn);
  const isChat =
    field === 'conversations' || [field, 'prompt' as const].some((f) => isConversation(row.get(f)));
  if (!isChat) return plain(row, field);
  const turns = field === 'conversations' ? readTurns(row, field) : readAnswer(row, field);
  const prompt = turns[0].role === 'assistant' ? promptTurns(row) : [];
  const all = withSystem(row, [...prompt, ...turns]);
  if (prompt.length === 0 || lossOn === 'assistant_turns') return conversation(row, field, all, lossOn);
  return checkedChat(row, 'prompt', [field], all.slice(0, -turns.length), [turns]);
}

/** Splits a conversation before the answer that is learned; with all turns of the assistant, before the first of them. */
function conversation(row: RowReader, field: Field, turns: readonly Turn[], lossOn: LossOn): Body {
  if (lossOn === 'completion') {
    const { role } = turns[turns.length - 1];
    if (role === 'assistant') return checkedChat(row, field, [field], turns.slice(0, -1), [turns.slice(-1)]);
    throw row.error(
      field,
      `ends with a message by '${role}'`,
      'end it with the answer, or use data.loss_on: assistant_turns',
    );
  }
  const isAssistant = turns.map(({ role }) => role === 'assistant');
  const [first, last] = [isAssistant.indexOf(true), isAssistant.lastIndexOf(true)];
  if (first < 0) throw row.error(field, 'has no message of the assistant', 'drop the row');
  return checkedChat(row, field, [field], turns.slice(0, first), [turns.slice(first, last + 1)]);
}

function promptTurns(row: RowReader): Turn[] {
  const prompt = row.get('prompt');
  if (prompt === undefined) throw row.missing('prompt');
  return isConversation(prompt)
    ? readTurns(row, 'prompt')
    : [{ role: 'user', content: readText(row, 'prompt') }];
}

function plain(row: RowReader, field: Field): PlainTexts {
  const answer = readText(row, field);
  const shared = row.has('prompt') ? 0 : sharedStart(row, field, answer);
  const prompt = row.has('prompt') ? readText(row, 'prompt') : answer.slice(0, shared);
  if (!answer.slice(shared).trim()) throw emptyAnswer(row, field);
  return { conversational: false, prompt, answers: [answer.slice(shared)] };
}

/** Answers without a prompt repeat it: it is what both of a pair begin with. */
function sharedStart(row: RowReader, field: Field, answer: string): number {
  const other = field === 'chosen' ? row.get('rejected') : undefined;
  if (typeof other !== 'string' || other === answer) throw row.missing('prompt');
  return sharedText(answer, other);
}
