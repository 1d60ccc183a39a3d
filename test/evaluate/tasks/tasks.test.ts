/** Every task: how its rows are read, what the model is asked, when an answer counts. */
import { describe, expect, it } from 'vitest';
import { InputErrors } from '../../../src/errors.ts';
import { parseCustomTask } from '../../../src/evaluate/tasks/custom.ts';
import { tasks } from '../../../src/evaluate/tasks/registry.ts';
import { type Task, untilStop } from '../../../src/evaluate/tasks/task.ts';

function task(name: string): Task {
  const found = tasks.find(name);
  if (found === undefined) throw new Error(name);
  return found;
}

describe('the tasks', () => {
  it('are those of the papers', () => {
    expect(tasks.all.map(({ name }) => name)).toEqual([
      'ecqa',
      'qasc',
      'obqa',
      'strategyqa',
      'gsm8k',
      'math',
      'mawps',
      'tabmwp',
      'svamp',
    ]);
  });

  it.each([
    [
      'ecqa',
      { problem: 'Where?\nOptions:\nhere\nthere', answer: 'here' },
      'Where?\nOptions:\nhere\nthere',
      'here',
    ],
    ['gsm8k', { question: 'How many?', answer: '1 + 1 = 2\n#### 2' }, 'How many?', '1 + 1 = 2\n#### 2'],
    ['math', { problem: 'Find x.', solution: '$\\boxed{3}$' }, 'Find x.', '$\\boxed{3}$'],
    ['mawps', { input: 'How many?', target: 43.0 }, 'How many?', '43'],
    ['svamp', { Body: 'He has 3.', Question: 'How many?', Answer: 3 }, 'He has 3. How many?', '3'],
    [
      'tabmwp',
      { table: 'a | 1', question: 'What is a?', choices: ['1', '2'], answer: '1' },
      'a | 1\nWhat is a?\nOptions:\n1\n2',
      '1',
    ],
  ])('%s reads its own columns', (name, row, problem, gold) => {
    expect(task(name).read(row)).toEqual({ problem, gold });
  });

  it('ask with the released prompt', () => {
    expect(task('ecqa').prompt('Why?')).toBe(
      'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n' +
        "### Instruction:\nWhy?\n\n### Response:\nLet's think step by step.\n",
    );
  });

  it('cut an answer before the next question that the model invents', () => {
    expect(untilStop('The answer is a bank.\n\n### Instruction:\nWho', task('gsm8k').stops)).toBe(
      'The answer is a bank.\n\n### ',
    );
    expect(untilStop('So yes. Question: who', task('qasc').stops)).toBe('So yes. ');
  });

  it.each([
    ['ecqa', 'bank', 'It keeps money.\nThe answer is Bank.', true],
    ['ecqa', 'bank', 'The answer is a bank', false],
    // One letter in capitals, two in lower case.
    ['ecqa', 'bank', 'İİİİ go there. The answer is bank.', true],
    ['qasc', 'Salt.\nThe answer is salt', 'The answer is water. No: The answer is salt', true],
    ['strategyqa', 'yes', 'The answer is true.', true],
    ['strategyqa', 'false', 'The answer is Yes', false],
    ['gsm8k', 'so 5\n#### 5', 'The answer is $5.00', true],
    ['math', '\\frac12', 'It is \\boxed{0.5}', true],
    ['mawps', '43', 'A: 43', true],
    ['svamp', '7', 'The answer is 8', false],
    ['tabmwp', '1,200', 'The answer is 1200.', true],
    ['tabmwp', 'Tuesday', 'The answer is Tuesday.', true],
    ['tabmwp', '3:15 P.M.', 'The answer is 3:45 P.M.', false],
  ])('%s: %j against %j is %s', (name, gold, prediction, correct) => {
    expect(task(name).grade(gold, prediction).correct).toBe(correct);
  });
});

describe('a custom task', () => {
  it('takes prompt, stops, columns, extraction and comparison from its file', () => {
    const custom = parseCustomTask(
      `prompt: "Q: {problem}\\nA:"
stops: ["\\nQ:"]
max_new_tokens: 8
columns: {problem: q, gold: a}
extraction: {after: "="}
comparison: number
`,
      'task.yaml',
    );
    expect(custom.prompt('1 + $& ?')).toBe('Q: 1 + $& ?\nA:');
    expect(custom.read({ q: 'x', a: 2 })).toEqual({ problem: 'x', gold: '2' });
    expect(custom.grade('2', '1 + 1 = 2.0')).toMatchObject({ answer: '2.0', correct: true });
    expect(custom.grade('2', 'two')).toMatchObject({ answer: undefined, correct: false });
    expect([custom.stops, custom.maxNewTokens]).toEqual([['\nQ:'], 8]);
  });

  it('finds the answer by a regular expression', () => {
    const custom = parseCustomTask(
      'prompt: "{problem}"\nextraction: {pattern: "\\\\[(\\\\w)\\\\]"}',
      't.yaml',
    );
    expect(custom.grade('b', 'I take [B] now')).toMatchObject({ answer: 'B', correct: true });
  });

  it('reports everything that is wrong with its file', () => {
    const wrong = () => parseCustomTask('promt: x\ncomparison: close', 't.yaml');
    expect(wrong).toThrow(InputErrors);
    expect(wrong).toThrow(/promt: there is no such key; did you mean prompt/);
    expect(wrong).toThrow(/comparison: found "close"; expected one of exact/);
    expect(() => parseCustomTask('prompt: "{problem}"\nextraction: {pattern: "("}', 't.yaml')).toThrow(
      /t\.yaml: extraction\.pattern/,
    );
  });
});
