/** A model's greedy answers to problems, graded. */
import { loadModel } from '../../src/index.ts';
import { readRows, writeRows } from './files.ts';
import { PROBLEM_SEEDS } from './plan.ts';
import type { Study } from './study.ts';
import { isRight, problemAt, promptOf } from './task.ts';

export interface Answer {
  readonly prompt: string;
  readonly answer: string;
  readonly isRight: boolean;
  /** Of the answer, without the token that ends it. */
  readonly tokens: number;
}

/** The longest right solution has 72 tokens. */
export const MOST_TOKENS = 80;

/** Answers the first `count` problems of a split, or reads what a run before this one has answered. */
export async function answerProblems(
  { runtime, pace }: Pick<Study, 'runtime' | 'pace'>,
  model: string,
  split: keyof typeof PROBLEM_SEEDS,
  count: number,
  path: string,
): Promise<Answer[]> {
  const { files } = runtime;
  if (await files.exists(path)) {
    pace.add('answers', count);
    return readRows<Answer>(files, path);
  }
  const started = performance.now();
  const problems = Array.from({ length: count }, (_, i) => problemAt(PROBLEM_SEEDS[split], i));
  const prompts = problems.map(promptOf);
  const loaded = await loadModel({ model, batch_size: 100, runtime });
  try {
    const texts = await loaded.generate(prompts, { max_new_tokens: MOST_TOKENS });
    const answers = texts.map((answer, i) => ({
      prompt: prompts[i],
      answer,
      isRight: isRight(problems[i], answer),
      tokens: answer.split(' ').length - 1,
    }));
    await writeRows(files, path, answers);
    pace.add('answers', count, (performance.now() - started) / 1000);
    return answers;
  } finally {
    await loaded.close();
  }
}

export const accuracyOf = (answers: readonly Answer[]): number =>
  answers.filter((answer) => answer.isRight).length / answers.length;
