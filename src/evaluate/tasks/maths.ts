/** Maths questions, from word problems to competitions, with the grader of ../maths. */
import type { JsonObject } from '../../data/json.ts';
import { gradeMaths } from '../maths/grade.ts';
import { gradeNumber } from '../maths/grade-school.ts';
import { stepByStep } from './question-answering.ts';
import { type Grade, type Question, type Task, textColumn } from './task.ts';

const base = {
  prompt: stepByStep,
  stops: ['Instruction:', 'Instruction', 'Response:', 'Response'],
  maxNewTokens: 512,
};

function reader(problems: readonly string[], golds: readonly string[]): Task['read'] {
  return (row) => {
    const problem = textColumn(row, ...problems);
    const gold = textColumn(row, ...golds);
    return problem === undefined || gold === undefined ? undefined : { problem, gold };
  };
}

/** SVAMP's rows tell the story in 'Body' and ask in 'Question'. */
function readSvamp(row: JsonObject): Question | undefined {
  const [body, asked] = [textColumn(row, 'Body'), textColumn(row, 'Question')];
  const gold = textColumn(row, 'Answer', 'answer', 'target');
  const problem =
    body !== undefined && asked !== undefined ? `${body} ${asked}` : textColumn(row, 'problem', 'input');
  return problem === undefined || gold === undefined ? undefined : { problem, gold };
}

/** TabMWP's table stands above the question, its options below. */
function readTable(row: JsonObject): Question | undefined {
  const asked = textColumn(row, 'question', 'problem', 'input');
  const gold = textColumn(row, 'answer', 'target');
  if (asked === undefined || gold === undefined) return undefined;
  const choices = Array.isArray(row.choices) ? `\nOptions:\n${row.choices.join('\n')}` : '';
  const table = textColumn(row, 'table');
  return { problem: `${table === undefined ? '' : `${table}\n`}${asked}${choices}`, gold };
}

/** TabMWP's answers are numbers, but also times and words of a table. */
function gradeTable(gold: string, prediction: string): Grade {
  if (/^[\s$]*-?[\d,.]+\s*(?:\/\s*\d+)?\s*%?$/.test(gold)) return gradeNumber(gold, prediction);
  return gradeMaths(gold, prediction);
}

export const MATHS_TASKS: readonly Task[] = [
  {
    ...base,
    name: 'gsm8k',
    description: 'grade-school word problems',
    read: reader(['question', 'problem'], ['answer', 'solution']),
    columns: "'question' and 'answer'",
    grade: gradeNumber,
  },
  {
    ...base,
    name: 'math',
    description: 'competition problems (MATH, MATH-500)',
    read: reader(['problem', 'question'], ['answer', 'solution']),
    columns: "'problem', and 'answer' or 'solution'",
    grade: gradeMaths,
  },
  {
    ...base,
    name: 'mawps',
    description: 'one-step word problems',
    read: reader(['input', 'problem', 'question'], ['target', 'answer']),
    columns: "'input' and 'target'",
    grade: gradeNumber,
  },
  {
    ...base,
    name: 'tabmwp',
    description: 'questions on tables',
    read: readTable,
    columns: "'table', 'question' and 'answer'",
    grade: gradeTable,
  },
  {
    ...base,
    name: 'svamp',
    description: 'word problems with misleading numbers',
    read: readSvamp,
    columns: "'Body', 'Question' and 'Answer'",
    grade: gradeNumber,
  },
];
