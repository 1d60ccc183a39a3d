/** A rule as a rater: a function of prompt, answer and row. */
import { RunError } from '../../errors.ts';
import { promptText } from '../dialogue.ts';
import type { Rater, RatingTask } from './rater.ts';

export type Rule = (prompt: string, answer: string, row: RatingTask['row']) => number | Promise<number>;

/** @param name for the settings file */
export function ruleRater(name: string, rule: Rule): Rater {
  return {
    settings: { kind: 'rule', name },
    async rate({ prompt, answers, row }) {
      const scores: number[] = [];
      for (const answer of answers) {
        const score: unknown = await rule(promptText(prompt), answer, row);
        if (typeof score !== 'number' || !Number.isFinite(score)) {
          throw new RunError(
            `${name}: the rule gave ${JSON.stringify(score)} for an answer, not a finite number.`,
          );
        }
        scores.push(score);
      }
      return scores;
    },
  };
}
