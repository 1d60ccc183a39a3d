/** A task from a YAML file: prompt template, stops, columns, where the answer stands and how it is compared. */
import { YAMLParseError } from 'yaml';
import * as z from 'zod';
import { InputError, InputErrors } from '../../errors.ts';
import { problemsOf } from '../../schema-problems.ts';
import { parseYaml } from '../../yaml-values.ts';
import { extractAnswer } from '../maths/extract.ts';
import { areEqualAnswers } from '../maths/grade.ts';
import { gradeNumber } from '../maths/grade-school.ts';
import { type Task, textColumn } from './task.ts';

export const customTask = z.strictObject({
  prompt: z.string().min(1).describe('text that the model continues; {problem} stands for the question'),
  stops: z.array(z.string().min(1)).default([]).describe('an answer ends before the first of these'),
  max_new_tokens: z.int().min(1).default(512),
  columns: z
    .strictObject({ problem: z.string().default('problem'), gold: z.string().default('answer') })
    .prefault({}),
  extraction: z
    .union([
      z.enum(['whole', 'maths']),
      z.strictObject({
        after: z.string().min(1).describe('the answer is the rest of the line behind the last of these'),
      }),
      z.strictObject({
        pattern: z
          .string()
          .min(1)
          .describe('regular expression; its first group, or all of it, is the answer'),
      }),
    ])
    .default('whole'),
  comparison: z.enum(['exact', 'lower_case', 'number', 'maths']).default('lower_case'),
});

type CustomTask = z.infer<typeof customTask>;

/** @throws InputErrors with everything that is wrong in the file */
export function parseCustomTask(text: string, file: string): Task {
  const parsed = customTask.safeParse(yamlOf(text, file));
  if (!parsed.success) {
    const problems = problemsOf(parsed.error, customTask, yamlOf(text, file));
    throw new InputErrors(
      `${file} is not a task:`,
      problems.map(({ path, message }) => `${path.join('.')}: ${message}`),
    );
  }
  const settings = parsed.data;
  const { problem, gold } = settings.columns;
  const extract = extractor(settings.extraction, file);
  const areEqual = COMPARISONS[settings.comparison];
  return {
    name: 'custom',
    description: file,
    read: (row) => {
      const [question, right] = [textColumn(row, problem), textColumn(row, gold)];
      return question === undefined || right === undefined ? undefined : { problem: question, gold: right };
    },
    columns: `'${problem}' and '${gold}'`,
    prompt: (question) => settings.prompt.replaceAll('{problem}', () => question),
    stops: settings.stops,
    maxNewTokens: settings.max_new_tokens,
    grade: (right, prediction) => {
      const answer = extract(prediction);
      const expected = extract(right) ?? right.trim();
      return { gold: expected, answer, correct: answer !== undefined && areEqual(expected, answer) };
    },
  };
}

function yamlOf(text: string, file: string): unknown {
  try {
    return parseYaml(text);
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    const line = error.linePos?.[0].line;
    throw new InputError(`${file}${line === undefined ? '' : `:${line}`}: not valid YAML: ${error.message}`);
  }
}

function extractor(how: CustomTask['extraction'], file: string): (text: string) => string | undefined {
  if (how === 'whole') return (text) => text.trim();
  if (how === 'maths') return extractAnswer;
  if ('after' in how) {
    return (text) => {
      const at = text.lastIndexOf(how.after);
      return at < 0
        ? undefined
        : text
            .slice(at + how.after.length)
            .trim()
            .split('\n')[0]
            .trim();
    };
  }
  const pattern = regularExpression(how.pattern, file);
  return (text) => {
    const match = pattern.exec(text);
    return (match?.[1] ?? match?.[0])?.trim();
  };
}

function regularExpression(pattern: string, file: string): RegExp {
  try {
    return new RegExp(pattern, 'u');
  } catch (error) {
    throw new InputError(`${file}: extraction.pattern: ${error instanceof Error ? error.message : error}`);
  }
}

const COMPARISONS: Readonly<Record<CustomTask['comparison'], (gold: string, answer: string) => boolean>> = {
  exact: (gold, answer) => gold === answer,
  lower_case: (gold, answer) => gold.toLowerCase() === answer.toLowerCase(),
  number: (gold, answer) => gradeNumber(gold, answer).correct,
  maths: areEqualAnswers,
};
