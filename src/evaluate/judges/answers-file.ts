/** Answers of a model to questions, in files of the forms that the public benchmarks and `prefgrad generate` write. */
import type { JsonObject } from '../../data/json.ts';
import { readRows } from '../../data/sources/read-rows.ts';
import { InputError } from '../../errors.ts';
import type { FileSystem } from '../../runtime/runtime.ts';
import { textColumn } from '../tasks/task.ts';

export interface PromptAnswer {
  readonly prompt: string;
  readonly answer: string;
}

/** @throws InputError for a row without a prompt or an answer */
export async function readAnswers(files: FileSystem, path: string): Promise<PromptAnswer[]> {
  const answers: PromptAnswer[] = [];
  for await (const { file, line, value } of readRows(files, path)) {
    const prompt = textColumn(value, 'prompt', 'instruction', 'question');
    const answer = textColumn(value, 'answer', 'output', 'completion', 'response');
    if (prompt === undefined || answer === undefined) {
      const present = Object.keys(value).join(', ');
      throw new InputError(
        `${file}:${line}: needs 'prompt' and 'answer' as texts (columns here: ${present})`,
      );
    }
    answers.push({ prompt, answer });
  }
  if (answers.length === 0) throw new InputError(`${path}: there are no answers in it.`);
  return answers;
}

export interface PairedAnswers {
  readonly prompt: string;
  readonly baseline: string;
  readonly model: string;
}

/** Both models' answers by prompt, in the order of the model's file. @throws InputError where the baseline lacks one */
export async function readPairedAnswers(
  files: FileSystem,
  model: string,
  baseline: string,
): Promise<PairedAnswers[]> {
  const others = new Map((await readAnswers(files, baseline)).map(({ prompt, answer }) => [prompt, answer]));
  return (await readAnswers(files, model)).map(({ prompt, answer }, i) => {
    const other = others.get(prompt);
    if (other === undefined)
      throw new InputError(
        `${baseline}: has no answer to prompt ${i + 1} of ${model}: ${JSON.stringify(prompt.slice(0, 80))}`,
      );
    return { prompt, baseline: other, model: answer };
  });
}

/** The string elements of a column that holds a list of texts. */
export function textList(row: JsonObject, column: string): string[] | undefined {
  const value = row[column];
  return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined;
}
