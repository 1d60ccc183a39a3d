/** Multiple choice and yes/no questions, asked without examples and answered step by step (BMC, Appendix A). */
import type { JsonObject } from '../../data/json.ts';
import { type Grade, type Question, type Task, textColumn } from './task.ts';

/** BMC's released prompt. */
export const stepByStep = (problem: string): string =>
  'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n' +
  `### Instruction:\n${problem}\n\n### Response:\nLet's think step by step.\n`;

const STOPS = ['Question', 'USER', 'ASSISTANT', 'Instruction', 'Response'].flatMap((word) => [
  `${word}:`,
  word,
]);

/** The text behind the last 'The answer is', lower case, without a full stop. */
export function statedAnswer(text: string): string {
  const last = [...text.matchAll(/the answer is/gi)].at(-1);
  const stated = last === undefined ? text : text.slice(last.index + last[0].length);
  return stated
    .replace(/^\s*:/, '')
    .trim()
    .toLowerCase()
    .replace(/[.\s]+$/, '');
}

function gradeStated(gold: string, prediction: string): Grade {
  const [right, answer] = [statedAnswer(gold), statedAnswer(prediction)];
  return { gold: right, answer, correct: right === answer };
}

/** true and false, yes and no are the same pair. */
function gradeYesNo(gold: string, prediction: string): Grade {
  const [right, answer] = [yesOrNo(statedAnswer(gold)), yesOrNo(statedAnswer(prediction))];
  return { gold: right ?? gold, answer, correct: right !== undefined && right === answer };
}

function yesOrNo(text: string): 'yes' | 'no' | undefined {
  const word = /^\W*(yes|true|no|false)\b/.exec(text)?.[1];
  if (word === undefined) return undefined;
  return word === 'yes' || word === 'true' ? 'yes' : 'no';
}

function readQuestion(row: JsonObject): Question | undefined {
  const problem = textColumn(row, 'problem', 'question', 'input');
  const gold = textColumn(row, 'answer', 'target', 'solution');
  return problem === undefined || gold === undefined ? undefined : { problem, gold };
}

const questionTask = (name: string, description: string, grade: Task['grade']): Task => ({
  name,
  description,
  read: readQuestion,
  columns: "'problem' and 'answer'",
  prompt: stepByStep,
  stops: [...STOPS, 'Below'],
  maxNewTokens: 512,
  grade,
});

export const QUESTION_TASKS: readonly Task[] = [
  questionTask('ecqa', 'commonsense questions with five options', gradeStated),
  questionTask('qasc', 'science questions with eight options', gradeStated),
  questionTask('obqa', 'OpenBookQA: science questions with four options', gradeStated),
  questionTask('strategyqa', 'yes/no questions that take several steps', gradeYesNo),
];
