/** Answers to a task's questions, graded one by one: a line per case and a summary. */
import { typeName } from '../data/json.ts';
import type { RawRow } from '../data/sources/raw-row.ts';
import { readRows } from '../data/sources/read-rows.ts';
import { InputError } from '../errors.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { writeLines } from './lines.ts';
import { type Interval, mean, wilsonInterval } from './statistics.ts';
import { type Question, type Task, textColumn, untilStop } from './tasks/task.ts';

/** What one answer came to; a line of the output file. */
export interface CaseResult {
  readonly problem?: string;
  readonly gold: string;
  readonly prediction: string;
  /** What was compared. */
  readonly gold_answer: string;
  readonly answer: string | null;
  readonly correct: boolean;
  /** Tokens of the answer, where our own engine wrote it. */
  readonly tokens?: number;
}

export interface TaskSummary {
  readonly task: string;
  readonly count: number;
  readonly correct: number;
  readonly accuracy: number;
  /** Wilson's 95% interval of the accuracy. */
  readonly interval: Interval;
  /** Predictions in which no answer was found. */
  readonly without_answer: number;
  /** Mean tokens per answer; null for answers made elsewhere. */
  readonly tokens_per_answer: number | null;
}

/** Writes the answers to prompts: our engine, or a stand-in. */
export type Answerer = (
  prompts: readonly string[],
  maxNewTokens: number,
) => Promise<readonly { readonly text: string; readonly tokens: number }[]>;

/** Grades rows {gold, prediction} made elsewhere and writes one line for each, in order. */
export async function gradePredictions(
  files: FileSystem,
  task: Task,
  predictions: string,
  out: string,
): Promise<TaskSummary> {
  const counts = new Tally(task.name);
  await writeLines(files, out, async (write) => {
    for await (const row of readRows(files, predictions)) {
      // A server that gave up answers null.
      const prediction = row.value.prediction === null ? '' : textOf(row, 'prediction');
      const result = graded(task, { gold: textOf(row, 'gold'), prediction });
      counts.add(result);
      await write(result);
    }
  });
  return counts.summary(predictions);
}

/** Asks `answer` every question of a file. @param limit - ask the first ones only */
export async function evaluateTask(
  files: FileSystem,
  task: Task,
  data: string,
  out: string,
  answer: Answerer,
  limit = Number.POSITIVE_INFINITY,
): Promise<TaskSummary> {
  const questions = await readQuestions(files, task, data, limit);
  const counts = new Tally(task.name);
  const answers = await answer(
    questions.map(({ problem }) => task.prompt(problem)),
    task.maxNewTokens,
  );
  await writeLines(files, out, async (write) => {
    for (const [i, { problem, gold }] of questions.entries()) {
      const prediction = untilStop(answers[i].text, task.stops);
      const result = { problem, ...graded(task, { gold, prediction }), tokens: answers[i].tokens };
      counts.add(result);
      await write(result);
    }
  });
  return counts.summary(data);
}

/** @throws InputError naming the row that is not a question of the task */
export async function readQuestions(
  files: FileSystem,
  task: Task,
  data: string,
  limit: number,
): Promise<Question[]> {
  const questions: Question[] = [];
  for await (const row of readRows(files, data)) {
    const question = task.read(row.value);
    if (question === undefined) {
      const present = Object.keys(row.value).join(', ') || 'none';
      throw new InputError(
        `${row.file}:${row.line}: ${task.name} needs the columns ${task.columns} (columns here: ${present})`,
      );
    }
    if (questions.push(question) >= limit) break;
  }
  if (questions.length === 0) throw new InputError(`${data}: there are no questions in it.`);
  return questions;
}

function graded(task: Task, { gold, prediction }: { gold: string; prediction: string }): CaseResult {
  const grade = task.grade(gold, prediction);
  return { gold, prediction, gold_answer: grade.gold, answer: grade.answer ?? null, correct: grade.correct };
}

/** @throws InputError for a column that is not there or holds neither text nor a number */
function textOf(row: RawRow, column: string): string {
  const text = textColumn(row.value, column);
  if (text !== undefined) return text;
  const { file, line } = row;
  throw new InputError(
    `${file}:${line}: '${column}' must be text, found ${typeName(row.value[column])}; rows are {"gold", "prediction"}`,
  );
}

/** Counts cases as they go by. */
class Tally {
  readonly #task: string;
  readonly #tokens: number[] = [];
  #count = 0;
  #correct = 0;
  #withoutAnswer = 0;

  constructor(task: string) {
    this.#task = task;
  }

  add({ correct, answer, tokens }: CaseResult): void {
    this.#count++;
    if (correct) this.#correct++;
    if (answer === null) this.#withoutAnswer++;
    if (tokens !== undefined) this.#tokens.push(tokens);
  }

  summary(file: string): TaskSummary {
    if (this.#count === 0) throw new InputError(`${file}: there are no rows in it.`);
    return {
      task: this.#task,
      count: this.#count,
      correct: this.#correct,
      accuracy: this.#correct / this.#count,
      interval: wilsonInterval(this.#correct, this.#count),
      without_answer: this.#withoutAnswer,
      tokens_per_answer: this.#tokens.length === 0 ? null : mean(this.#tokens),
    };
  }
}
