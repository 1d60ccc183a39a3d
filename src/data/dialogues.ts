/** Anthropic/hh-rlhf's dialogues: whole conversations as one text, with `Human:` and `Assistant:` headers. */
import type { Field, RowReader } from './columns.ts';
import { sharedTurns, type Turn } from './conversations.ts';
import { checkedChat } from './row-forms.ts';
import type { ChatTexts } from './rows.ts';

const ROLES: Readonly<Record<string, string>> = { Human: 'user', Assistant: 'assistant' };

/** The messages that both dialogues begin with are the prompt, what follows the answers; the headers go. */
export function dialogueBody(row: RowReader): ChatTexts {
  const fields: readonly Field[] = ['chosen', 'rejected'];
  const [chosen, rejected] = fields.map((field) => dialogueTurns(String(row.get(field))));
  const shared = sharedTurns(chosen, rejected);
  const answers = [chosen.slice(shared), rejected.slice(shared)];
  return checkedChat(row, 'chosen', fields, chosen.slice(0, shared), answers);
}

/** Two messages of one speaker in a row, as some dialogues have, are one. */
export function dialogueTurns(text: string): Turn[] {
  const pieces = `\n\n${text.trim()}`.split(/\n\n(Human|Assistant):/).slice(1);
  const turns: Turn[] = [];
  for (let i = 0; i < pieces.length; i += 2) {
    const [role, content] = [ROLES[pieces[i]], pieces[i + 1].trim()];
    const last = turns.at(-1);
    if (last?.role === role) turns[turns.length - 1] = { role, content: `${last.content}\n\n${content}` };
    else turns.push({ role, content });
  }
  return turns;
}
