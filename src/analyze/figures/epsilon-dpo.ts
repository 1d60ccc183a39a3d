/** epsilon-DPO (Lee et al. 2025): how pairs move their beta, and what that does to rewards and to KL. */
import { mean } from '../../evaluate/statistics.ts';
import type { ScoredLine } from '../../score/record.ts';
import type { Cell, Figure, Point, Result, Series } from '../figure.ts';
import { type Material, type MetricsRow, needed, type Run, type Scores } from '../material.ts';
import { groupBy } from '../summary.ts';

/** Of an epoch. */
const INTERVAL = 0.2;

/** Means of a metric over intervals of 0.2 epochs, each at its end; the evaluation before the first step is at 0. */
export function byInterval(metrics: readonly MetricsRow[], key: string): Point[] {
  const epochs = epochAtStep(metrics);
  const rows = metrics.filter((row) => key in row);
  const intervals = groupBy(rows, (row) => Math.ceil((row.epoch ?? epochs(row.step)) / INTERVAL - 1e-9));
  return [...intervals]
    .sort(([a], [b]) => a - b)
    .map(([n, found]) => ({ x: Number((n * INTERVAL).toFixed(1)), y: mean(found.map((row) => row[key])) }));
}

/** Evaluations do not log their epoch; that of the last step before them is meant. */
function epochAtStep(metrics: readonly MetricsRow[]): (step: number) => number {
  const known = metrics.filter((row) => 'epoch' in row);
  return (step) => known.findLast((row) => row.step <= step)?.epoch ?? 0;
}

/** Figure 3: shares of pairs whose beta goes up and down, KL and a metric, per 0.2 epochs. */
export function betaSteps({ runs, metric }: Material): Result[] {
  const found = needed(
    runs.filter(({ metrics }) => metrics.some((row) => 'epsilon/increase' in row)),
    'needs --run DIR of epsilon-dpo (metrics.jsonl with epsilon/increase).',
  );
  const common = {
    kind: 'figure' as const,
    x: { label: 'epoch' },
    source: found.map(({ directory }) => `${directory}/metrics.jsonl`),
  };
  const over = (key: string, label: string, mark: Series['mark'] = 'line') =>
    found.flatMap(({ name, metrics }: Run): Series[] => {
      const points = byInterval(metrics, key);
      return points.length === 0
        ? []
        : [{ name: label === '' ? name : `${name}, ${label}`, group: name, mark, points }];
    });
  const figures: Figure[] = [
    {
      ...common,
      name: 'epsilon-3-steps',
      title: 'Pairs whose beta moves',
      caption: 'Share of pairs whose beta goes up and down, mean over intervals of 0.2 epochs.',
      y: { label: 'share of pairs' },
      series: [...over('epsilon/increase', 'up'), ...over('epsilon/decrease', 'down', 'dotted')],
    },
    {
      ...common,
      name: 'epsilon-3-kl',
      title: 'Distance from the reference',
      caption:
        "KL(policy || reference) summed over answers: the policy's own samples, which the paper means, and held-out chosen answers.",
      y: { label: 'KL per answer', unit: 'nats' },
      series: [...over('eval_kl_samples', 'samples'), ...over('eval_kl_chosen', 'chosen answers', 'dotted')],
    },
    {
      ...common,
      name: 'epsilon-3-metric',
      title: `${metric} while training`,
      caption: `${metric}, mean over intervals of 0.2 epochs.`,
      y: { label: metric },
      series: over(metric, ''),
    },
  ];
  return figures.filter(({ series }) => series.length > 0);
}

const GROUPS = [
  { name: 'beta goes down', step: 1, mark: 'line' },
  { name: 'beta goes up', step: -1, mark: 'dotted' },
] as const;
const BINS = 20;

interface WithSteps extends Scores {
  readonly pairs: readonly (ScoredLine & Required<Pick<ScoredLine, 'epsilon' | 'margin'>>)[];
}

function stepped({ scores }: Material): readonly WithSteps[] {
  const found = scores.filter(
    ({ pairs }) => pairs.length > 0 && pairs.every((pair) => pair.epsilon && pair.margin !== undefined),
  );
  return needed(
    found as readonly WithSteps[],
    'needs --scores NAME=FILE, written by "prefgrad score --reference DIR --epsilon NUMBER".',
  );
}

/** Figure 4a: margins of the pairs whose beta would go up, and of those whose beta would go down. */
export function marginsByStep(material: Material): Result[] {
  return stepped(material).map(({ name, path, pairs }) => {
    const margins = pairs.map(({ margin }) => margin);
    const [low, high] = [Math.min(...margins), Math.max(...margins)];
    const width = (high - low || 1) / BINS;
    return {
      kind: 'figure',
      name: `epsilon-4a-${name}`,
      title: `Margins of pairs whose beta moves, ${name}`,
      caption: `Share of the pairs of each group per bin of the margin of rewards, ${BINS} bins; pairs whose beta stays are left out.`,
      x: { label: 'margin of rewards' },
      y: { label: 'share of the group' },
      series: GROUPS.map(({ name: label, step, mark }) => {
        const group = pairs.filter(({ epsilon }) => epsilon.step === step);
        const counts = new Array<number>(BINS).fill(0);
        for (const { margin } of group) counts[Math.min(BINS - 1, Math.floor((margin - low) / width))]++;
        return {
          name: `${label} (${group.length})`,
          mark,
          points: counts.map((count, bin) => ({
            x: low + (bin + 0.5) * width,
            y: group.length === 0 ? 0 : count / group.length,
          })),
        };
      }),
      source: [path],
    };
  });
}

const SHOWN = 5;

/** Appendix D: the pairs of largest and smallest margin of each group. */
export function extremePairs(material: Material): Result[] {
  return stepped(material).map(({ name, path, pairs }) => ({
    kind: 'table',
    name: `epsilon-d-${name}`,
    title: `Extremes of the pairs whose beta moves, ${name}`,
    caption: `The ${SHOWN} smallest and the ${SHOWN} largest margins of rewards of each group.`,
    columns: ['group', 'row', 'margin', 'beta', 'chosen', 'rejected'],
    rows: GROUPS.flatMap(({ name: label, step }) => {
      const group = pairs.filter(({ epsilon }) => epsilon.step === step).sort((a, b) => a.margin - b.margin);
      const shown = group.filter((_, i) => i < SHOWN || i >= group.length - SHOWN);
      return shown.map(({ index, margin, epsilon, chosen, rejected }): Cell[] => [
        label,
        index,
        margin,
        epsilon.beta,
        chosen.tokens.join(''),
        rejected.tokens.join(''),
      ]);
    }),
    source: [path],
  }));
}
