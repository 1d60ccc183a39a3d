/** AlpacaEval's numbers: by hand for a few judgments, by their own definition for the length adjustment. */
import { describe, expect, it } from 'vitest';
import { normalAt } from '../../../src/data/random.ts';
import { alpacaEval, alpacaMetrics, type Judgment } from '../../../src/evaluate/judges/alpaca-eval.ts';
import { readDifficulty } from '../../../src/evaluate/judges/difficulty-table.ts';
import { logistic } from '../../../src/evaluate/judges/logistic-regression.ts';
import { MemoryFiles } from '../../../src/runtime/memory-files.ts';

function filesOf(rows: unknown): MemoryFiles {
  const files = new MemoryFiles();
  files.add('a.json', JSON.stringify(rows));
  return files;
}

describe('win rates', () => {
  it('are means of preference - 1; drawn and missing verdicts count as AlpacaEval counts them', async () => {
    const preferences = [1, 2, 1.5, 0, 1.75, null];
    const rows = preferences.map((preference) => ({ output_1: 'ab', output_2: 'xyz😀', preference }));
    const metrics = await alpacaEval(filesOf(rows), 'a.json');
    expect(metrics).toMatchObject({
      n_total: 5,
      n_wins: 2,
      n_wins_base: 1,
      n_draws: 2,
      avg_length: 4,
      difficulty: false,
    });
    expect(metrics.win_rate).toBeCloseTo(55, 12);
    expect(metrics.discrete_win_rate).toBeCloseTo(60, 12);
    // Sample deviation of 0, 1, .5, .5, .75 is .3708; over the square root of 5.
    expect(metrics.standard_error).toBeCloseTo(16.5831, 4);
  });

  it.each([
    [[{ output_1: 'a', output_2: 'b', preference: 3 }], /a\.json:1: 'preference' must be a number from 1/],
    [[{ output_1: 'a', preference: 1 }], /'output_1' \(of the baseline\) and 'output_2'/],
    [[], /there are no judgments/],
  ])('refuses %j', async (rows, message) => {
    await expect(alpacaEval(filesOf(rows), 'a.json')).rejects.toThrow(message);
  });
});

/** Judgments of a judge with known φ, ψ and θ, and lengths around a mean difference. */
function judgments(
  phi: number,
  psi: number,
  theta: number,
  shift: number,
  difficulty: (i: number) => number,
) {
  const differences = Array.from({ length: 400 }, (_, i) => 600 * normalAt(1, 0, i) + shift);
  const center = differences.reduce((sum, d) => sum + d, 0) / differences.length;
  const deviation = Math.sqrt(differences.reduce((sum, d) => sum + (d - center) ** 2, 0) / 399);
  return differences.map(
    (difference, i): Judgment => ({
      baselineLength: 5000 + difference,
      modelLength: 5000,
      preference: logistic(phi * Math.tanh(difference / deviation) + psi * difficulty(i) + theta),
    }),
  );
}

describe('the length-adjusted win rate', () => {
  it('is what the model would have at equal lengths', () => {
    const { win_rate, win_rate_length_adjusted } = alpacaMetrics(judgments(-1.5, 0, -0.4, 500, () => 0));
    expect(win_rate_length_adjusted).toBeCloseTo(100 * logistic(-0.4), 1);
    expect(win_rate).toBeLessThan(win_rate_length_adjusted - 10);
  });

  it('is the win rate where all lengths are equal', () => {
    const rows = [0, 1, 1, 0.5].map((preference) => ({ baselineLength: 9, modelLength: 9, preference }));
    expect(alpacaMetrics(rows).win_rate_length_adjusted).toBeCloseTo(62.5, 6);
  });

  it('knows how difficult instructions are from the table', () => {
    const difficulty = (i: number) => normalAt(2, 0, i);
    const csv = [
      'preference,index,std_delta_len,instruction_difficulty,not_gamed_baseline',
      ...Array.from({ length: 400 }, (_, i) => {
        const length = normalAt(3, 0, i);
        const preference = logistic(-1.5 * Math.tanh(length) + 0.9 * difficulty(i));
        return `${preference},${i},${length},${difficulty(i)},False`;
      }),
    ].join('\n');
    const rows = judgments(-1.5, 0.9, -1, 500, difficulty);
    const metrics = alpacaMetrics(rows, readDifficulty(csv, 'df.csv'));
    const expected = rows.reduce((sum, _, i) => sum + logistic(0.9 * difficulty(i) - 1), 0) / rows.length;
    expect(metrics.difficulty).toBe(true);
    expect(metrics.win_rate_length_adjusted).toBeGreaterThan(100 * expected - 1);
    expect(metrics.win_rate_length_adjusted).toBeLessThan(100 * expected + 1);
  });

  it('refuses another table', () => {
    expect(() => readDifficulty('a,b\n1,2', 'df.csv')).toThrow(/df\.csv: there is no column 'index'/);
  });
});
