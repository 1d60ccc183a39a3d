/**
 * The win rate that a model would have with answers as long as the baseline's (Dubois et al. 2024). A logistic model of
 * the judge,
 *
 *   P(model wins) = σ(φ tanh(d / std(d)) + ψ difficulty + θ),   d = characters of the baseline - of the model,
 *
 * is fitted to the judgments and evaluated at d = 0.
 */
import { sampleDeviation } from '../statistics.ts';
import type { Judgment } from './alpaca-eval.ts';
import type { DifficultyRow } from './difficulty-table.ts';
import { fitLasso, fitWithPrior, logistic, type Observation } from './logistic-regression.ts';

/** Weight of the judgments of answers with changed lengths; there are two for each instruction. */
const CHANGED_WEIGHT = 0.2 / 2;

/**
 * What φ is without their table, from outside: over the 200 models of AlpacaEval's published weights it has mean -1.50
 * and standard deviation 0.40. Without it a model that is always shorter has no φ to be found: its length and θ are one.
 */
const LENGTH_PRIOR = { mean: -1.5, deviation: 0.4 };

const FOLDS = 5;

/** @returns the probability for each judged instruction that the model wins at equal lengths */
export function lengthAdjusted(
  rows: readonly (Judgment | undefined)[],
  table: readonly DifficultyRow[] | undefined,
): number[] {
  const known = rows.flatMap((row, index) => (row === undefined ? [] : [{ ...row, index }]));
  const differences = known.map(({ baselineLength, modelLength }) => baselineLength - modelLength);
  const deviation = known.length < 2 ? 0 : sampleDeviation(differences);
  const lengths = differences.map((difference) => (deviation === 0 ? 0 : Math.tanh(difference / deviation)));
  if (table === undefined) {
    const observations = known.map(
      ({ preference }, i): Observation => ({ features: [lengths[i], 1], target: preference, weight: 1 }),
    );
    const [, constant] = fitWithPrior(observations, [LENGTH_PRIOR, undefined]);
    return known.map(() => logistic(constant));
  }
  const difficulties = new Map(table.map(({ index, difficulty }) => [index, difficulty]));
  const judged = known.flatMap(({ preference, index }, i) => {
    const difficulty = difficulties.get(index);
    return difficulty === undefined ? [] : [{ preference, difficulty, length: lengths[i] }];
  });
  const changed = table.map(
    ({ lengthDifference, difficulty, preference }): Observation => ({
      features: [Math.tanh(lengthDifference), difficulty, 0],
      target: preference,
      weight: CHANGED_WEIGHT,
    }),
  );
  const own = judged.map(
    ({ preference, difficulty, length }): Observation => ({
      features: [length, difficulty, 1],
      target: preference,
      weight: 1,
    }),
  );
  const [, slope, constant] = fitLasso([...changed, ...own], FOLDS);
  return judged.map(({ difficulty }) => logistic(slope * difficulty + constant));
}
