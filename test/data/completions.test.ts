/** Rows that one answer is learned from: every form, and which part of it becomes prompt and answer. */
import { describe, expect, it } from 'vitest';
import type { Columns } from '../../src/data/columns.ts';
import { type RowSettings, readRow } from '../../src/data/rows.ts';
import { InputError } from '../../src/errors.ts';

const read = (value: Record<string, unknown>, settings?: RowSettings) =>
  readRow({ file: 'd.jsonl', line: 7, value }, { expects: 'chosen', ...settings });
const system = { role: 'system', content: 'S' };
const [user, bot] = ['user', 'assistant'].map((role) => (content: string) => ({ role, content }));

describe('rows of text', () => {
  it.each<[string, Record<string, unknown>, Columns]>([
    ['a prompt and a completion', { prompt: 'Q', completion: ' A' }, {}],
    ['mapped columns', { problem: 'Q', solution: ' A' }, { prompt: 'problem', completion: 'solution' }],
    ['a pair: the chosen answer', { prompt: 'Q', chosen: ' A', rejected: ' B' }, {}],
    ['a pair of equal answers', { prompt: 'Q', chosen: ' A', rejected: ' A' }, {}],
    ['a chosen answer without a rejected one', { prompt: 'Q', chosen: ' A' }, {}],
    ['a pair that repeats its prompt', { chosen: 'Q A', rejected: 'Q B' }, {}],
    ['a desirable answer', { prompt: 'Q', completion: ' A', label: true }, {}],
  ])('%s', (_, value, columns) => {
    const row = read(value, { columns });
    expect(row).toMatchObject({ kind: 'unpaired', label: true });
    expect(row.texts).toEqual({ conversational: false, prompt: 'Q', answers: [' A'] });
  });
});

describe('rows of messages', () => {
  const prompt = [user('1')];
  const answers = [[bot('2')]];

  it.each<[string, Record<string, unknown>]>([
    ['messages', { messages: [user('1'), bot('2')] }],
    ['a prompt, and messages that begin with the answer', { prompt: '1', messages: [bot('2')] }],
    ['a prompt, and messages that repeat it', { prompt: '1', messages: [user('1'), bot('2')] }],
    ['prompt and completion as messages', { prompt: [user('1')], completion: [bot('2')] }],
    ['a prompt of messages and a completion of text', { prompt: [user('1')], completion: '2' }],
    ['a pair of messages', { prompt: '1', chosen: [bot('2')], rejected: [bot('3')] }],
    [
      'whole conversations, as UltraFeedback has them',
      { prompt: '1', chosen: [user('1'), bot('2')], rejected: [] },
    ],
    [
      "sharegpt's turns",
      {
        conversations: [
          { from: 'human', value: '1' },
          { from: 'gpt', value: '2' },
        ],
      },
    ],
    [
      "hh-rlhf's dialogues",
      { chosen: '\n\nHuman: 1\n\nAssistant: 2', rejected: '\n\nHuman: 1\n\nAssistant: 3' },
    ],
  ])('%s', (_, value) => {
    expect(read(value).texts).toEqual({ conversational: true, prompt, answers });
  });

  it('of several turns: the last is learned, or all of the assistant’s', () => {
    const messages = [user('1'), bot('2'), user('3'), bot('4')];
    expect(read({ messages }).texts).toMatchObject({ prompt: messages.slice(0, 3), answers: [[bot('4')]] });
    const all = read({ messages: [...messages, user('5')], system: 'S' }, { lossOn: 'assistant_turns' });
    expect(all.texts).toMatchObject({ prompt: [system, user('1')], answers: [messages.slice(1)] });
  });

  it('of several turns before a completion: the completion is learned, or all of the assistant’s turns', () => {
    const prompt = [user('1'), bot('2'), user('3')];
    const value = { prompt, completion: [bot('4')] };
    expect(read(value).texts).toMatchObject({ prompt, answers: [[bot('4')]] });
    const { texts } = read(value, { lossOn: 'assistant_turns' });
    expect(texts).toMatchObject({ prompt: [user('1')], answers: [[bot('2'), user('3'), bot('4')]] });
  });
});

describe('what is refused, by file, line and field', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['no answer', { prompt: 'Q' }, /d\.jsonl:7: field 'completion' is missing; .*columns here: prompt/],
    ['an empty answer', { prompt: 'Q', completion: ' ' }, /field 'completion' is an empty answer/],
    ['a completion without its prompt', { completion: 'A' }, /field 'prompt' is missing/],
    [
      'equal answers that hide where the prompt ends',
      { chosen: 'Q A', rejected: 'Q A' },
      /field 'prompt' is missing/,
    ],
    ['an undesirable answer', { prompt: 'Q', completion: 'A', label: false }, /field 'label' is false/],
    [
      'a conversation that the user ends',
      { messages: [user('1'), bot('2'), user('3')] },
      /field 'messages' ends with a message by 'user'/,
    ],
  ])('%s', (_, value, message) => {
    expect(() => read(value)).toThrow(InputError);
    expect(() => read(value)).toThrow(message);
  });

  it('a conversation without the assistant', () => {
    expect(() => read({ messages: [user('1')] }, { lossOn: 'assistant_turns' })).toThrow(
      'no message of the assistant',
    );
  });
});
