/** Two models' result files on the same questions. */
import { readRows } from '../data/sources/read-rows.ts';
import { InputError } from '../errors.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import { mean, type PairedDifference, pairedBootstrap } from './statistics.ts';
import { textColumn } from './tasks/task.ts';

export interface Comparison {
  readonly count: number;
  readonly accuracy_a: number;
  readonly accuracy_b: number;
  /** Of accuracy b - accuracy a, with a 95% interval. */
  readonly paired_bootstrap: PairedDifference;
}

/**
 * @param a - lines with `correct`, as `prefgrad evaluate --out` writes them; @param b - of the other model
 * @throws InputError where the files do not hold the same questions
 */
export async function compareResults(
  files: FileSystem,
  a: string,
  b: string,
  seed: number,
): Promise<Comparison> {
  const [left, right] = [await readResults(files, a), await readResults(files, b)];
  if (left.length !== right.length)
    throw new InputError(
      `${a} has ${left.length} cases and ${b} has ${right.length}; compare the same questions.`,
    );
  const other = left.findIndex(({ key }, i) => key !== right[i].key);
  if (other >= 0) throw new InputError(`Case ${other + 1} of ${a} and ${b} are different questions.`);
  const [scoresA, scoresB] = [left, right].map((results) => results.map(({ correct }) => Number(correct)));
  return {
    count: left.length,
    accuracy_a: mean(scoresA),
    accuracy_b: mean(scoresB),
    paired_bootstrap: pairedBootstrap(scoresA, scoresB, { seed }),
  };
}

async function readResults(files: FileSystem, path: string): Promise<{ key: string; correct: boolean }[]> {
  const results: { key: string; correct: boolean }[] = [];
  for await (const { file, line, value } of readRows(files, path)) {
    if (typeof value.correct !== 'boolean')
      throw new InputError(
        `${file}:${line}: 'correct' must be true or false; give a file that evaluate wrote.`,
      );
    results.push({ key: textColumn(value, 'problem', 'gold') ?? '', correct: value.correct });
  }
  if (results.length === 0) throw new InputError(`${path}: there are no cases in it.`);
  return results;
}
