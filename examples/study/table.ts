/** The study's table: accuracies with intervals, and differences on the same problems. */
import {
  mean,
  type PairedDifference,
  pairedBootstrap,
  wilsonInterval,
} from '../../src/evaluate/statistics.ts';
import { type Answer, accuracyOf } from './answers.ts';
import { styleOf } from './task.ts';

/** Test answers of a method, one list per seed. */
export interface Outcome {
  readonly name: string;
  readonly learningRate?: number;
  /** Accuracy on the validation problems per learning rate that was tried. */
  readonly tried?: Readonly<Record<string, number>>;
  readonly perSeed: readonly (readonly Answer[])[];
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface ResultRow {
  readonly method: string;
  readonly learning_rate: number | null;
  readonly tried: Readonly<Record<string, number>>;
  /** Each seed's accuracy with Wilson's 95% interval. */
  readonly seeds: readonly (Interval & { readonly accuracy: number })[];
  /** Mean over the seeds; the interval is of problems drawn with replacement, and does not know other seeds. */
  readonly accuracy: Interval & { readonly mean: number };
  /** Accuracy minus that of the base model and of DPO, on the same problems. */
  readonly over_base: Difference | null;
  readonly over_dpo: Difference | null;
  readonly tokens_per_answer: number;
  /** Share of answers in the style that SFT has made the model's own. */
  readonly own_style: number;
}

type Difference = Pick<PairedDifference, 'difference' | 'low' | 'high' | 'pValue'>;

/** @param outcomes - the base model first; all on the same problems */
export function resultRows(outcomes: readonly Outcome[]): ResultRow[] {
  const [base] = outcomes;
  const dpo = outcomes.find(({ name }) => name === 'DPO');
  return outcomes.map((outcome): ResultRow => {
    const { name, learningRate, tried = {}, perSeed } = outcome;
    const all = perSeed.flat();
    const scores = perProblem(outcome);
    const bootstrap = pairedBootstrap(
      scores.map(() => 0),
      scores,
    );
    return {
      method: name,
      learning_rate: learningRate ?? null,
      tried,
      seeds: perSeed.map((answers) => {
        const right = answers.filter(({ isRight }) => isRight).length;
        return { accuracy: right / answers.length, ...wilsonInterval(right, answers.length) };
      }),
      accuracy: { mean: accuracyOf(all), low: bootstrap.low, high: bootstrap.high },
      over_base: outcome === base ? null : difference(base, outcome),
      over_dpo: dpo === undefined || outcome === dpo ? null : difference(dpo, outcome),
      tokens_per_answer: mean(all.map(({ tokens }) => tokens)),
      own_style: all.filter(({ answer }) => styleOf(answer) === 'equations').length / all.length,
    };
  });
}

/** Each problem's share of seeds that solved it. */
function perProblem({ perSeed }: Outcome): number[] {
  return perSeed[0].map((_, i) => mean(perSeed.map((answers) => Number(answers[i].isRight))));
}

function difference(a: Outcome, b: Outcome): Difference {
  const { difference, low, high, pValue } = pairedBootstrap(perProblem(a), perProblem(b));
  return { difference, low, high, pValue };
}

/** The table in Markdown, in percent. */
export function resultTable(rows: readonly ResultRow[]): string {
  const header = [
    'method',
    'learning rate',
    'accuracy % (95% interval)',
    'per seed',
    'over base',
    'over DPO',
    'tokens per answer',
    'own style %',
  ];
  const lines = rows.map((row) => [
    row.method,
    row.learning_rate === null ? '' : row.learning_rate.toExponential(),
    `**${percent(row.accuracy.mean)}** (${percent(row.accuracy.low)} to ${percent(row.accuracy.high)})`,
    row.seeds.map(({ accuracy }) => percent(accuracy)).join(', '),
    differenceText(row.over_base),
    differenceText(row.over_dpo),
    row.tokens_per_answer.toFixed(1),
    percent(row.own_style),
  ]);
  return [header, header.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

const percent = (share: number): string => (100 * share).toFixed(1);
const signed = (share: number): string => `${share < 0 ? '−' : '+'}${percent(Math.abs(share))}`;

function differenceText(difference: Difference | null): string {
  if (difference === null) return '';
  return `${signed(difference.difference)} (${signed(difference.low)} to ${signed(difference.high)})`;
}
