import { describe, expect, it } from 'vitest';
import { readPair, readPrompt, writtenRow } from '../../src/preferences/dialogue.ts';
import { checkEdit } from '../../src/preferences/edit-checks.ts';
import { parseEdit } from '../../src/preferences/editors/llm-editor.ts';
import { PromptFile } from '../../src/preferences/prompt-file.ts';
import { parsePromptShape, shaped } from '../../src/preferences/prompt-shape.ts';
import { bestAndWorst } from '../../src/preferences/rate.ts';
import { cosine } from '../../src/preferences/similarity.ts';
import { readSpans } from '../../src/preferences/weigh.ts';
import { wordDistance, words } from '../../src/preferences/words.ts';
import { nodeFiles } from '../../src/runtime/node-files.ts';

const row = (value: Record<string, unknown>) => ({ file: 'f.jsonl', line: 3, value });

describe('words', () => {
  it('are numbers, words, signs, and characters of scripts without spaces', () => {
    expect(words("It's 3,200.5 km (x^2), 你好")).toEqual([
      "It's",
      '3,200.5',
      'km',
      '(',
      'x',
      '^',
      '2',
      ')',
      ',',
      '你',
      '好',
    ]);
  });

  it('are counted apart, as edits and as a share of the longer text', () => {
    expect(wordDistance('a b c', 'a x c d')).toEqual({ edits: 2, share: 0.5 });
    expect(wordDistance('a  b', 'a b')).toEqual({ edits: 0, share: 0 });
    expect(wordDistance('a b', 'c d e')).toEqual({ edits: 3, share: 1 });
  });
});

describe('an edit', () => {
  const loser = 'Tom has 3 apples and buys 2 more, so he has 6 apples. The answer is 6.';
  const winner = 'Adding up gives 3 + 2 = 5. Answer: 5';

  it('that changes what is wrong passes, with its distances', () => {
    const edit = 'Tom has 3 apples and buys 2 more, so he has 5 apples. The answer is 5.';
    expect(checkEdit(edit, loser, winner)).toEqual({ ok: true, distances: { before: 18, after: 2 } });
  });

  it.each([
    ['unchanged', loser],
    ['unchanged', loser.replaceAll(' ', '  ')],
    ['copy of the other answer', ` ${winner}\n`],
    ['too long', `${loser} ${loser} ${loser}`],
    ['too short', 'It is 5.'],
    ['unrelated', 'Pour sugar over eggs; bake them until golden brown. Serve warm with tea or cold milk?'],
  ])('%s is none', (reason, edit) => {
    const check = checkEdit(edit, loser, winner);
    expect(check.ok ? 'ok' : check.reason).toBe(reason);
  });

  it('that takes over more than the other answer changes is none', () => {
    const check = checkEdit('a b x y z', 'a b c d e', 'a b x y e');
    expect(check.ok ? 'ok' : check.reason).toBe('no nearer than the other answer');
  });

  it('is what stands last between its tags, else the verdict', () => {
    expect(parseEdit('First <edited>a</edited>, no: <edited>\nb\n</edited>')).toEqual({
      kind: 'edited',
      text: 'b',
    });
    expect(parseEdit('<verdict>Good enough</verdict>')).toEqual({ kind: 'good enough' });
    expect(parseEdit('<edited></edited>')).toMatchObject({ kind: 'unparsable' });
    expect(parseEdit('It is fine.')).toMatchObject({ kind: 'unparsable', answer: 'It is fine.' });
  });
});

describe('rows', () => {
  it('of UltraFeedback give messages without their prompt, and are written in that form', () => {
    const user = { role: 'user', content: 'Hi' };
    const say = (content: string) => [user, { role: 'assistant', content }];
    const raw = row({ prompt: 'Hi', chosen: say('a'), rejected: say('b'), score: 1, index: 9 });
    const pair = readPair(raw);
    expect(pair).toEqual({ prompt: [user], chosen: 'a', rejected: 'b' });
    expect(readPrompt(raw)).toEqual([user]);
    expect(writtenRow(4, raw, { ...pair })).toEqual({
      index: 4,
      prompt: [user],
      chosen: 'a',
      rejected: 'b',
      score: 1,
    });
  });

  it('with answers of several messages are refused', () => {
    const long = ['a', 'b', 'c'].map((content, i) => ({ role: i === 1 ? 'user' : 'assistant', content }));
    expect(() => readPair(row({ prompt: 'Hi', chosen: long, rejected: 'x' }))).toThrow(
      "f.jsonl:3: field 'chosen' is an answer of 3 messages",
    );
  });

  it('of sharegpt give what stands before the answer', () => {
    const conversations = [
      { from: 'human', value: 'Hi' },
      { from: 'gpt', value: 'a' },
    ];
    expect(readPrompt(row({ conversations }))).toEqual([{ role: 'user', content: 'Hi' }]);
  });
});

describe('prompts', () => {
  it('that are strings take a shape', () => {
    expect(shaped('x', parsePromptShape('chat'))).toEqual([{ role: 'user', content: 'x' }]);
    expect(shaped('x', parsePromptShape('instruction'))).toBe('### Instruction:\nx\n\n### Response:\n');
    expect(shaped('a {prompt}', parsePromptShape('Q: {prompt}\nA:'))).toBe('Q: a {prompt}\nA:');
    expect(() => parsePromptShape('Q:')).toThrow('give text, chat, instruction, or a template with {prompt}');
  });

  it('in files have the places that are filled, once', async () => {
    const checks = {
      'bridge-qa-maths': ['bridge', 'degrade'],
      'bridge-instructions': ['bridge', 'degrade'],
    };
    for (const [name, variants] of Object.entries(checks)) {
      const file = await PromptFile.load(nodeFiles, `examples/prompts/${name}.yaml`);
      for (const variant of variants) {
        file.check(variant, ['prompt', 'reference', 'answer']);
        file.check(`${variant}_without_reference`, ['prompt', 'answer']);
      }
    }
    const judge = await PromptFile.load(nodeFiles, 'examples/prompts/judge.yaml');
    judge.check('score', ['prompt', 'answer']);
    judge.check('pairwise', ['prompt', 'first', 'second']);
    const [message] = judge.messages('score', { prompt: 'is {{answer}} a place?', answer: 'no' });
    expect(message.content).toContain('is {{answer}} a place?');
    expect(() => judge.check('best', [])).toThrow("has no variant 'best'");
    expect(() => judge.check('score', ['prompt'])).toThrow('score: {{answer}} is unknown');
    expect(() => judge.check('score', ['prompt', 'answer', 'row'])).toThrow('score: {{row}} is missing');
  });
});

describe('best and worst', () => {
  it('are the first of equals, and never an empty answer', () => {
    expect(bestAndWorst(['a', 'b', 'c', ' '], [1, 2, 2, 9])).toEqual({ best: 1, worst: 0 });
    expect(bestAndWorst(['a', ''], [1, 2])).toBeUndefined();
  });
});

describe('judged passages', () => {
  it('become spans in code points', () => {
    const judgment = 'Here: [{"text": "cat", "score": 3}, {"text": "cat", "score": 1}]';
    expect(readSpans(judgment, '\u{1f600} a cat, one cat.', 2)).toEqual([
      { start: 4, end: 7, weight: 3 },
      { start: 13, end: 16, weight: 1 + 2 / 3 },
    ]);
    expect(readSpans('[]', 'a cat', 1)).toEqual([]);
  });

  it.each([
    ['nothing', 'it is no JSON list'],
    ['[{"text": "cat", "score": 7}]', 'its entries must have a text and a score from 0 to 3'],
    ['[{"text": "dog", "score": 1}]', 'the passage "dog" does not stand in the answer'],
  ])('%s cannot be used', (judgment, problem) => {
    expect(readSpans(judgment, 'a cat', 1)).toContain(problem);
  });
});

it('cosine is 0 for nothing and 1 along a line', () => {
  expect(cosine([0, 0], [1, 2])).toBe(0);
  expect(cosine([2, 4], [1, 2])).toBeCloseTo(1, 12);
});
