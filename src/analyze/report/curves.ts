/** Curves of metrics.jsonl: one figure per metric, one line per run. */
import type { Figure } from '../figure.ts';
import type { Run } from '../material.ts';

const CURVES = [
  { key: 'loss', title: 'Loss', unit: 'nats' },
  { key: 'eval_loss', title: 'Loss on held-out rows', unit: 'nats' },
  { key: 'rewards/margins', title: 'Margin of rewards' },
  { key: 'eval_rewards/margins', title: 'Margin of rewards on held-out pairs' },
  { key: 'rewards/accuracies', title: 'Pairs ranked right' },
  { key: 'eval_rewards/accuracies', title: 'Held-out pairs ranked right' },
  { key: 'logps/chosen', title: 'Log-prob of chosen answers', unit: 'nats' },
  { key: 'logps/rejected', title: 'Log-prob of rejected answers', unit: 'nats' },
  { key: 'grad_norm', title: 'Norm of the gradient' },
  { key: 'learning_rate', title: 'Learning rate' },
] as const;

/** Those that at least one run has. */
export function curvesOf(runs: readonly Run[]): Figure[] {
  return CURVES.flatMap((curve): Figure[] => {
    const { key, title } = curve;
    const found = runs.filter(({ metrics }) => metrics.some((row) => key in row));
    if (found.length === 0) return [];
    return [
      {
        kind: 'figure',
        name: key.replaceAll('/', '-'),
        title,
        caption: `${key} of metrics.jsonl.`,
        x: { label: 'optimizer step' },
        y: { label: key, ...('unit' in curve && { unit: curve.unit }) },
        series: found.map(({ name, metrics }) => ({
          name,
          mark: 'line',
          points: metrics.filter((row) => key in row).map((row) => ({ x: row.step, y: row[key] })),
        })),
        source: found.map(({ directory }) => `${directory}/metrics.jsonl`),
      },
    ];
  });
}
