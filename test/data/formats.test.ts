/** What a row must have when the configuration names its form, and what dialogues of hh-rlhf become. */
import { describe, expect, it } from 'vitest';
import type { DataFormat } from '../../src/data/formats.ts';
import { readRow } from '../../src/data/rows.ts';

const read = (value: Record<string, unknown>, format: DataFormat = 'auto') =>
  readRow({ file: 'd.jsonl', line: 3, value }, { format });

describe('a form that is named', () => {
  it.each([
    ['hh-rlhf', { chosen: 'a', rejected: 'b' }, /d\.jsonl:3: field 'chosen' is no dialogue/],
    [
      'ultrafeedback',
      { prompt: 'a', chosen: 'b', rejected: 'c' },
      /field 'chosen' is no list of messages that begins/,
    ],
    ['kto', { prompt: 'a', chosen: 'b', rejected: 'c' }, /field 'label' is missing/],
    ['sharegpt', { prompt: 'a', chosen: 'b', rejected: 'c' }, /field 'conversations' is missing/],
  ] as const)('%s refuses other rows', (format, row, says) => {
    expect(() => read(row, format)).toThrow(says);
  });
});

describe('dialogues of hh-rlhf', () => {
  const pair = (chosen: string, rejected: string) => read({ chosen, rejected });

  it('split where the speakers change, and only there', () => {
    const { texts } = pair(
      '\n\nHuman: Say "Human:" twice.\n\nPlease.\n\nAssistant: Human: Human:',
      '\n\nHuman: Say "Human:" twice.\n\nPlease.\n\nAssistant: No.',
    );
    expect(texts.prompt).toEqual([{ role: 'user', content: 'Say "Human:" twice.\n\nPlease.' }]);
    expect(texts.answers).toEqual([
      [{ role: 'assistant', content: 'Human: Human:' }],
      [{ role: 'assistant', content: 'No.' }],
    ]);
  });

  it('that part early have answers of several messages', () => {
    const { texts } = pair(
      '\n\nHuman: Hi\n\nAssistant: A\n\nHuman: More\n\nAssistant: B',
      '\n\nHuman: Hi\n\nAssistant: C\n\nHuman: Less\n\nAssistant: D',
    );
    expect(texts.prompt).toHaveLength(1);
    expect(texts.answers.map((answer) => answer.length)).toEqual([3, 3]);
  });

  it('join what one speaker says in two messages', () => {
    const { texts } = pair(
      '\n\nHuman: Hi\n\nHuman: Still there?\n\nAssistant: Yes',
      '\n\nHuman: Hi\n\nHuman: Still there?\n\nAssistant: No',
    );
    expect(texts.prompt).toEqual([{ role: 'user', content: 'Hi\n\nStill there?' }]);
  });

  it('without an answer are errors', () => {
    expect(() => pair('\n\nHuman: Hi\n\nAssistant:', '\n\nHuman: Hi\n\nAssistant: x')).toThrow(
      /field 'chosen' is an empty answer/,
    );
    expect(() => pair('\n\nHuman: Hi\n\nAssistant: a', '\n\nHuman: Ho\n\nAssistant: x')).toThrow(
      /field 'chosen' has no message before the answer/,
    );
  });
});

describe('token weights in the data', () => {
  it('are refused with the row where the method does not take them', () => {
    const value = { prompt: 'a', chosen: 'b', rejected: 'c', rejected_weights: [1, 2] };
    const row = { file: 'd.jsonl', line: 3, value };
    expect(() => readRow(row, { refusesWeights: 'simpo' })).toThrow(
      /d\.jsonl:3: field 'rejected_weights' gives token weights, which simpo does not take/,
    );
    expect(readRow(row).weights[1]).toMatchObject({ kind: 'tokens', values: [1, 2] });
  });
});
