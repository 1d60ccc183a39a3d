/**
 * The exact editor: what BMC's Bridging Phase asks of a language model, done by a program. It writes the right solution
 * in the style of the wrong one, so that only wrong totals change.
 */
import { type ExactEdit, exactEditor } from '../../src/preferences/editors/exact-editor.ts';
import { wordDistance } from '../../src/preferences/words.ts';
import { problemOf, STYLES, solutionOf } from './task.ts';

/** Of the right solutions, the one that takes the fewest changed words. */
export function corrected(prompt: string, answer: string): string {
  const problem = problemOf(prompt);
  const solutions = STYLES.map((style) => solutionOf(problem, style));
  const distances = solutions.map((solution) => wordDistance(solution, answer).edits);
  return solutions[distances.indexOf(Math.min(...distances))];
}

const edit: ExactEdit = ({ prompt, answer }) => {
  if (typeof prompt !== 'string') throw new RangeError('The prompts of the study are texts.');
  return corrected(prompt, answer);
};

export const editor = exactEditor('right totals in the style of the answer', edit);
