import { describe, expect, it } from 'vitest';
import { type RowSettings, readRow } from '../../src/data/rows.ts';
import { InputError } from '../../src/errors.ts';
import { readTrainConfig } from '../../src/train/config.ts';

const read = (value: Record<string, unknown>, settings?: RowSettings) =>
  readRow({ file: 'd.jsonl', line: 7, value }, settings);
const user = (content: string) => ({ role: 'user', content });
const bot = (content: string) => ({ role: 'assistant', content });

describe('TRL rows of text', () => {
  it('with a prompt', () => {
    const row = read({ prompt: 'Q', chosen: ' good', rejected: ' bad' });
    expect(row).toMatchObject({ kind: 'pair', line: 7, file: 'd.jsonl' });
    expect(row.texts).toEqual({ conversational: false, prompt: 'Q', answers: [' good', ' bad'] });
  });

  it('without one: the shared beginning, whose last space goes to the answers', () => {
    const { texts } = read({ chosen: 'The sky is blue.', rejected: 'The sky is green.' });
    expect(texts).toEqual({ conversational: false, prompt: 'The sky is', answers: [' blue.', ' green.'] });
  });

  it('never shares all of an answer, nor half a character', () => {
    expect(read({ chosen: 'ab', rejected: 'abc' }).texts).toMatchObject({
      prompt: 'a',
      answers: ['b', 'bc'],
    });
    expect(read({ chosen: 'x🙂', rejected: 'x🙃' }).texts).toMatchObject({
      prompt: 'x',
      answers: ['🙂', '🙃'],
    });
    expect(read({ chosen: 'Yes', rejected: 'No' }).texts).toMatchObject({
      prompt: '',
      answers: ['Yes', 'No'],
    });
  });

  it('KTO: one answer and a label', () => {
    const row = read({ prompt: 'Q', completion: ' A', label: false });
    expect(row).toMatchObject({ kind: 'unpaired', label: false, texts: { prompt: 'Q', answers: [' A'] } });
  });

  it('columns of other names', () => {
    const columns = { prompt: 'question', chosen: 'best', rejected: 'worst' };
    const row = read({ question: 'Q', best: 'a', worst: 'b', chosen: 'not this' }, { columns });
    expect(row.texts).toMatchObject({ prompt: 'Q', answers: ['a', 'b'] });
  });
});

describe('a template of prompts', () => {
  const settings = {
    promptTemplate: '### Instruction:\n{prompt}\n\n### Response:\n',
    expects: 'chosen',
  } as const;

  it('is put around a text, and leaves messages alone', () => {
    const text = { prompt: '2+2?', completion: '4' };
    expect(read(text, settings).texts.prompt).toBe('### Instruction:\n2+2?\n\n### Response:\n');
    const messages = [
      { role: 'user', content: '2+2?' },
      { role: 'assistant', content: '4' },
    ];
    expect(read({ messages }, settings).texts.prompt).toEqual(
      read({ messages }, { expects: 'chosen' }).texts.prompt,
    );
  });

  it('is refused without a place for the prompt', () => {
    const { problems } = readTrainConfig({
      model: { path: 'm' },
      objective: 'sft',
      data: { train: 't', prompt_template: 'Q: ' },
      output_dir: 'o',
    });
    expect(problems).toEqual([
      { path: ['data', 'prompt_template'], message: 'must have the place {prompt}' },
    ]);
  });
});

describe('a row for SFT', () => {
  it('without an answer is told what it needs, and to take no other method', () => {
    const row = () => read({ prompt: 'Q' }, { expects: 'chosen' });
    expect(row).toThrow(/completion|chosen/);
    expect(row).not.toThrow(/kto/);
  });

  it('may carry a label, as rows of KTO do', () => {
    const { texts } = read({ prompt: 'Q', completion: 'a', label: true }, { expects: 'chosen' });
    expect(texts).toMatchObject({ prompt: 'Q', answers: ['a'] });
  });
});

describe('TRL rows of messages', () => {
  it('with a prompt', () => {
    const { texts } = read({ prompt: [user('Q')], chosen: [bot('a')], rejected: [bot('b')] });
    expect(texts).toEqual({ conversational: true, prompt: [user('Q')], answers: [[bot('a')], [bot('b')]] });
  });

  it('without one: the messages both begin with', () => {
    const start = [user('1'), bot('2'), user('3')];
    const { texts } = read({ chosen: [...start, bot('a')], rejected: [...start, bot('b')] });
    expect(texts).toEqual({ conversational: true, prompt: start, answers: [[bot('a')], [bot('b')]] });
  });

  it('UltraFeedback: a text prompt beside whole conversations, and a messages column', () => {
    const chosen = [user('Q'), bot('a')];
    const { texts } = read({ prompt: 'Q', chosen, rejected: [user('Q'), bot('b')], messages: chosen });
    expect(texts).toMatchObject({ prompt: [user('Q')], answers: [[bot('a')], [bot('b')]] });
  });

  it('a text prompt with answers as messages, and the other way round', () => {
    const expected = { conversational: true, prompt: [user('Q')], answers: [[bot('a')], [bot('b')]] };
    expect(read({ prompt: 'Q', chosen: [bot('a')], rejected: [bot('b')] }).texts).toEqual(expected);
    expect(read({ prompt: [user('Q')], chosen: 'a', rejected: 'b' }).texts).toEqual(expected);
  });

  it('content in parts, and keys the template may want', () => {
    const parts = [
      { type: 'text', text: 'Q' },
      { type: 'text', text: '!' },
    ];
    const prompt = [{ role: 'user', content: parts, name: 'Ann' }];
    expect(read({ prompt, chosen: 'a', rejected: 'b' }).texts.prompt).toEqual([
      { ...user('Q!'), name: 'Ann' },
    ]);
  });
});

describe('sharegpt rows', () => {
  const human = { from: 'human', value: 'Q' };

  it('a pair, with tags turned into roles', () => {
    const conversations = [
      { from: 'system', value: 'S' },
      human,
      { from: 'gpt', value: 'x' },
      { from: 'observation', value: 'o' },
    ];
    const { texts } = read({
      conversations,
      chosen: { from: 'gpt', value: 'a' },
      rejected: { from: 'gpt', value: 'b' },
    });
    expect(texts.conversational).toBe(true);
    expect(texts.prompt).toEqual([
      { role: 'system', content: 'S' },
      user('Q'),
      bot('x'),
      { role: 'tool', content: 'o' },
    ]);
    expect(texts.answers).toEqual([[bot('a')], [bot('b')]]);
  });

  it('a labelled conversation: the last message is the answer', () => {
    const row = read({ messages: [user('Q'), bot('a')], label: true });
    expect(row).toMatchObject({
      kind: 'unpaired',
      label: true,
      texts: { prompt: [user('Q')], answers: [[bot('a')]] },
    });
  });

  it('a system column, and kto_tag', () => {
    const row = read({ system: 'S', conversations: [human, { from: 'gpt', value: 'a' }], kto_tag: false });
    expect(row.texts.prompt).toEqual([{ role: 'system', content: 'S' }, user('Q')]);
    expect(row).toMatchObject({ label: false });
  });
});

describe('errors name file, line, field and remedy', () => {
  const pair = { prompt: 'Q', chosen: 'a', rejected: 'b' };
  it.each<[string, Record<string, unknown>, RowSettings, RegExp]>([
    [
      'missing',
      { prompt: 'Q', chosen: 'a' },
      {},
      /^d\.jsonl:7: field 'rejected' is missing; add it, or map .*columns here: prompt, chosen/,
    ],
    ['mapped but missing', pair, { columns: { chosen: 'best' } }, /field 'best' is missing/],
    ['null', { ...pair, chosen: null }, {}, /field 'chosen' is missing/],
    ['wrong type', { ...pair, prompt: 3 }, {}, /field 'prompt' is a number, not a string/],
    ['empty answer', { ...pair, rejected: ' \n' }, {}, /field 'rejected' is an empty answer; drop the row/],
    [
      'empty chat answer',
      { prompt: [user('Q')], chosen: [bot('')], rejected: [bot('b')] },
      {},
      /'chosen' is an empty answer/,
    ],
    [
      'unpaired for a paired method',
      { prompt: 'Q', completion: 'a', label: true },
      { expects: 'paired' },
      /'label' makes this an unpaired row.*kto/,
    ],
    ['pair where labels are wanted', pair, { expects: 'unpaired' }, /'chosen' makes this a pair/],
    [
      'label no boolean',
      { prompt: 'Q', completion: 'a', label: 1 },
      {},
      /field 'label' is 1, not a boolean; write true/,
    ],
    ['label missing', { prompt: 'Q', completion: 'a' }, {}, /field 'label' is missing/],
    ['KTO without a prompt', { completion: 'a', label: true }, {}, /field 'prompt' is missing/],
    [
      'no shared prompt',
      { chosen: [user('x'), bot('a')], rejected: [user('y'), bot('b')] },
      {},
      /'prompt' is missing and the answers share no first message/,
    ],
    [
      'prompt by the assistant',
      { prompt: [bot('x')], chosen: 'a', rejected: 'b' },
      {},
      /'prompt' ends with a message of the assistant/,
    ],
    [
      'answer by the user',
      { prompt: [user('x')], chosen: [user('a')], rejected: [bot('b')] },
      {},
      /'chosen' has an answer by 'user'/,
    ],
    [
      'unknown tag',
      { conversations: [{ from: 'alien', value: 'x' }], chosen: 'a', rejected: 'b' },
      {},
      /'conversations' message 1: unknown tag 'alien'; use one of human, /,
    ],
    [
      'no role',
      { prompt: [{ content: 'x' }], chosen: 'a', rejected: 'b' },
      {},
      /message 1: its role is missing/,
    ],
    [
      'image',
      { prompt: [{ role: 'user', content: [{ type: 'image' }] }], chosen: 'a', rejected: 'b' },
      {},
      /message 1: its content is a list; it must be text/,
    ],
    [
      'empty conversation',
      { prompt: [], chosen: 'a', rejected: 'b' },
      {},
      /'prompt' is an empty conversation/,
    ],
    ['sharegpt asked for', pair, { format: 'sharegpt' }, /field 'conversations' is missing/],
    ['weights', { ...pair, chosen_weights: [1, 'x'] }, {}, /'chosen_weights' mixes entries .*one per token/],
  ])('%s', (_, value, settings, message) => {
    expect(() => read(value, settings)).toThrow(message);
    expect(() => read(value, settings)).toThrow(InputError);
    expect(() => read(value, settings)).toThrow(/^d\.jsonl:7: /);
  });
});
