/** MT-Bench: eighty questions of two turns, each answer rated from 1 to 10, with a reference where there is one. */
import { readRows } from '../../data/sources/read-rows.ts';
import { InputError, RunError } from '../../errors.ts';
import type { CompletionModel } from '../../preferences/completion-model.ts';
import type { FileSystem } from '../../runtime/runtime.ts';
import { mean, standardError } from '../statistics.ts';
import { textColumn } from '../tasks/task.ts';
import { textList } from './answers-file.ts';
import { askJudge, type JudgeModel, lastVerdict, noVerdicts } from './judge-model.ts';

export interface MtQuestion {
  readonly id: string;
  readonly category: string;
  readonly turns: readonly string[];
  /** One per turn, of questions that have a right answer. */
  readonly reference: readonly string[] | undefined;
}

/** Temperatures at which the model answers; others are answered greedily. */
const TEMPERATURES: Readonly<Record<string, number>> = {
  writing: 0.7,
  roleplay: 0.7,
  stem: 0.1,
  humanities: 0.1,
};
/** Categories whose references the judge sees. */
const WITH_REFERENCE = new Set(['math', 'reasoning', 'coding']);

export const temperatureOf = (category: string): number => TEMPERATURES[category] ?? 0;

export async function readMtQuestions(files: FileSystem, path: string): Promise<MtQuestion[]> {
  const questions: MtQuestion[] = [];
  for await (const { file, line, value } of readRows(files, path)) {
    const id = textColumn(value, 'question_id');
    const turns = textList(value, 'turns');
    if (id === undefined || turns === undefined || turns.length === 0)
      throw new InputError(`${file}:${line}: needs 'question_id' and 'turns', a list of texts.`);
    const category = textColumn(value, 'category') ?? '';
    questions.push({ id, category, turns, reference: textList(value, 'reference') });
  }
  if (questions.length === 0) throw new InputError(`${path}: there are no questions in it.`);
  return questions;
}

/** Answers of each question, one per turn; of a file with `question_id` and `answers`. */
export async function readMtAnswers(files: FileSystem, path: string): Promise<Map<string, string[]>> {
  const answers = new Map<string, string[]>();
  for await (const { file, line, value } of readRows(files, path)) {
    const id = textColumn(value, 'question_id');
    const turns = textList(value, 'answers') ?? textList(value, 'turns');
    if (id === undefined || turns === undefined)
      throw new InputError(`${file}:${line}: needs 'question_id' and 'answers', a list of texts.`);
    answers.set(id, turns);
  }
  return answers;
}

/** Lets a model answer every turn, having seen the turns before. */
export async function answerMtQuestions(
  model: CompletionModel,
  questions: readonly MtQuestion[],
  maxTokens: number,
): Promise<Map<string, string[]>> {
  const entries = await Promise.all(
    questions.map(async ({ id, category, turns }): Promise<[string, string[]]> => {
      const messages: { role: string; content: string }[] = [];
      const answers: string[] = [];
      for (const turn of turns) {
        messages.push({ role: 'user', content: turn });
        const { text } = await model.complete({
          messages: [...messages],
          maxTokens,
          temperature: temperatureOf(category),
        });
        answers.push(text);
        messages.push({ role: 'assistant', content: text });
      }
      return [id, answers];
    }),
  );
  return new Map(entries);
}

export interface MtRow {
  readonly question_id: string;
  readonly category: string;
  /** 1-based. */
  readonly turn: number;
  readonly answer: string;
  /** 1..10; null where the judge gave none. */
  readonly rating: number | null;
  readonly judgment: string;
}

/** @throws InputError for a question without an answer to each turn */
export async function judgeMtAnswers(
  judge: JudgeModel,
  questions: readonly MtQuestion[],
  answers: ReadonlyMap<string, readonly string[]>,
): Promise<MtRow[]> {
  judge.prompts.check('rating', ['conversation', 'answer']);
  judge.prompts.check('rating_with_reference', ['conversation', 'answer', 'reference']);
  const rows = questions.flatMap((question) => {
    const given = answers.get(question.id);
    if (given === undefined || given.length < question.turns.length)
      throw new InputError(
        `Question ${question.id} has ${given?.length ?? 0} answers for ${question.turns.length} turns.`,
      );
    return question.turns.map((_, turn) => rateTurn(judge, question, given, turn));
  });
  return Promise.all(rows);
}

async function rateTurn(
  judge: JudgeModel,
  { id, category, turns, reference }: MtQuestion,
  answers: readonly string[],
  turn: number,
): Promise<MtRow> {
  const before = turns.slice(0, turn).map((asked, i) => `[user]\n${asked}\n\n[assistant]\n${answers[i]}`);
  const conversation = [...before, `[user]\n${turns[turn]}`].join('\n\n');
  const right = WITH_REFERENCE.has(category) ? reference?.[turn] : undefined;
  const texts = { conversation, answer: answers[turn], ...(right === undefined ? {} : { reference: right }) };
  const variant = right === undefined ? 'rating' : 'rating_with_reference';
  const { value, text } = await askJudge(judge, variant, texts, (written) => {
    const rating = Number(lastVerdict(written) ?? Number.NaN);
    return rating >= 1 && rating <= 10 ? rating : undefined;
  });
  return {
    question_id: id,
    category,
    turn: turn + 1,
    answer: answers[turn],
    rating: value ?? null,
    judgment: text,
  };
}

export interface MtSummary {
  /** Mean rating of all turns, and its standard error. */
  readonly score: number;
  readonly standard_error: number;
  readonly turns: Readonly<Record<string, number>>;
  readonly categories: Readonly<Record<string, number>>;
  readonly ratings: number;
  readonly without_rating: number;
}

/** @throws RunError where no turn has a rating */
export function mtSummary(rows: readonly MtRow[]): MtSummary {
  const rated = rows.flatMap((row) => (row.rating === null ? [] : [{ ...row, rating: row.rating }]));
  const meansBy = (key: (row: MtRow) => string) => {
    const groups = new Map<string, number[]>();
    for (const row of rated) groups.set(key(row), [...(groups.get(key(row)) ?? []), row.rating]);
    return Object.fromEntries([...groups].map(([name, values]) => [name, mean(values)]));
  };
  if (rated.length === 0) throw new RunError(noVerdicts('turn'));
  const ratings = rated.map(({ rating }) => rating);
  return {
    score: mean(ratings),
    standard_error: standardError(ratings),
    turns: meansBy(({ turn }) => String(turn)),
    categories: meansBy(({ category }) => category),
    ratings: ratings.length,
    without_rating: rows.length - ratings.length,
  };
}
