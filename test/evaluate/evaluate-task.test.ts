/** From files to graded files: predictions made elsewhere, answers of our engine, and two models compared. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Cli } from '../../src/cli/context.ts';
import { runCli } from '../../src/cli/program.ts';
import { evaluateTask } from '../../src/evaluate/evaluate-task.ts';
import { parseCustomTask } from '../../src/evaluate/tasks/custom.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import { testRuntime } from '../support/runtime.ts';

const lines = (...rows: unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
const rowsOf = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

let files: MemoryFiles;
let stdout: string;
let stderr: string;
const cli: Cli = {
  out: (text) => {
    stdout += text;
  },
  err: (text) => {
    stderr += text;
  },
  terminal: undefined,
  runtime: async () => ({ ...testRuntime(), files }),
  exitCode: 0,
};

beforeEach(() => {
  files = new MemoryFiles();
  stdout = '';
  stderr = '';
});

describe('evaluate --predictions', () => {
  const evaluate = (...args: string[]) => runCli(['evaluate', ...args], cli);

  it('writes one line per row, in order, and prints accuracy with its interval', async () => {
    files.add(
      'p.jsonl',
      lines(
        { gold: '2 * 2 = <<2*2=4>>4\n#### 4', prediction: 'The answer is 4.' },
        { gold: '#### 9', prediction: 'A: 8' },
        { gold: '#### 7', prediction: null },
        { gold: 5, prediction: '5' },
      ),
    );
    expect(await evaluate('--task', 'gsm8k', '--predictions', 'p.jsonl', '--out', 'o.jsonl')).toBe(0);
    const cases = rowsOf(await files.readText('o.jsonl'));
    expect(cases.map(({ correct }) => correct)).toEqual([true, false, false, true]);
    expect(cases[1]).toMatchObject({ gold: '#### 9', prediction: 'A: 8', gold_answer: '9', answer: '8' });
    expect(JSON.parse(stdout)).toMatchObject({ task: 'gsm8k', count: 4, accuracy: 0.5, without_answer: 1 });
  });

  it.each([
    [['--task', 'gsm8', '--predictions', 'p.jsonl', '--out', 'o'], /did you mean gsm8k/],
    [
      ['--task', 'math', '--predictions', 'p.jsonl', '--out', 'o'],
      /p\.jsonl:2: 'prediction' must be text, found missing/,
    ],
    [['--task', 'math', '--predictions', 'none.jsonl', '--out', 'o'], /none\.jsonl: no such file/],
    [['--task', 'math', '--out', 'o'], /Give --predictions FILE, or --model DIR and --data FILE/],
    [['--task', 'custom', '--predictions', 'p.jsonl', '--out', 'o'], /needs --task-file/],
  ])('refuses %j', async (args, message) => {
    files.add('p.jsonl', lines({ gold: '1', prediction: '1' }, { gold: '1' }));
    expect(await evaluate(...args)).toBe(2);
    expect(stderr).toMatch(message);
    expect(await files.exists('o')).toBe(false);
    expect(await files.exists('o.tmp')).toBe(false);
  });
});

describe('evaluate compare', () => {
  it('prints the difference of two models on the same questions', async () => {
    const results = (right: (i: number) => boolean) =>
      lines(...Array.from({ length: 30 }, (_, i) => ({ problem: `q${i}`, correct: right(i) })));
    files.add(
      'a.jsonl',
      results((i) => i % 3 === 0),
    );
    files.add(
      'b.jsonl',
      results((i) => i % 3 !== 1),
    );
    expect(await runCli(['evaluate', 'compare', 'a.jsonl', 'b.jsonl'], cli)).toBe(0);
    const comparison = JSON.parse(stdout);
    expect(comparison.paired_bootstrap.difference).toBeCloseTo(1 / 3, 12);
    expect(comparison.paired_bootstrap.low).toBeGreaterThan(0);
  });

  it('refuses files of different questions', async () => {
    files.add('a.jsonl', lines({ problem: 'x', correct: true }));
    files.add('b.jsonl', lines({ problem: 'y', correct: true }));
    expect(await runCli(['evaluate', 'compare', 'a.jsonl', 'b.jsonl'], cli)).toBe(2);
    expect(stderr).toMatch(/Case 1 of a\.jsonl and b\.jsonl are different questions/);
  });
});

describe('questions of a file', () => {
  const task = parseCustomTask('prompt: "{problem} ="\nstops: [";"]\nmax_new_tokens: 5', 'task.yaml');

  it('are asked with the prompt of the task, and answers end before a stop', async () => {
    files.add('q.jsonl', lines({ problem: '1+1', answer: '2' }, { problem: '1+2', answer: '3' }));
    const asked: unknown[] = [];
    const summary = await evaluateTask(files, task, 'q.jsonl', 'o.jsonl', async (prompts, most) => {
      asked.push(prompts, most);
      return [
        { text: ' 2; 7', tokens: 4 },
        { text: ' 4', tokens: 2 },
      ];
    });
    expect(asked).toEqual([['1+1 =', '1+2 ='], 5]);
    expect(summary).toMatchObject({ count: 2, correct: 1, tokens_per_answer: 3 });
    expect(rowsOf(await files.readText('o.jsonl'))[0]).toMatchObject({
      problem: '1+1',
      prediction: ' 2',
      correct: true,
      tokens: 4,
    });
  });

  it('must have the columns of the task', async () => {
    files.add('q.jsonl', lines({ problem: '1+1', answer: '2' }, { question: 'what' }));
    const answers = evaluateTask(files, task, 'q.jsonl', 'o.jsonl', async () => []);
    await expect(answers).rejects.toThrow(
      /q\.jsonl:2: custom needs the columns 'problem' and 'answer' \(columns here: question\)/,
    );
  });
});
