/** A metric over a setting: one point per row of a sweep or per run. */
import { mean } from '../../evaluate/statistics.ts';
import type { Point, Result, Rule, Series } from '../figure.ts';
import { type Material, MissingSource, type Setting } from '../material.ts';
import { groupBy, meanPoint } from '../summary.ts';

interface Sweep {
  readonly name: string;
  readonly title: string;
  readonly setting: string;
  readonly label: string;
  readonly unit?: string;
}

/** MIPO 3, BMC 3 and 4. */
export const SWEEPS = {
  mipo3: { name: 'mipo-3', title: 'over beta', setting: 'beta', label: 'beta' },
  bmc3: {
    name: 'bmc-3',
    title: 'over the share of bridged data',
    setting: 'share',
    label: 'share of pairs that are bridged',
  },
  bmc4: {
    name: 'bmc-4',
    title: 'over the bound of the weights',
    setting: 'delta',
    label: 'delta, the upper bound of a weight',
  },
} satisfies Record<string, Sweep>;

/** Several rows with the same setting (seeds) are a mean with its interval. */
export function overSetting({ settings, metric, baseline }: Material, sweep: Sweep): Result[] {
  const { name, setting, label } = sweep;
  const rows = settings.filter((row) => typeof row[metric] === 'number');
  const isBaseline = (row: Setting) => baseline !== undefined && row.method === baseline;
  const swept = rows.filter((row) => !isBaseline(row) && typeof row[setting] === 'number');
  if (swept.length === 0) {
    throw new MissingSource(
      `needs --sweep FILE.jsonl with "method", "${setting}" and "${metric}", or --run DIRs that have both; --metric names another metric.`,
    );
  }
  const rules = [...groupBy(rows.filter(isBaseline), ({ method }) => String(method))].map(
    ([method, found]): Rule => ({
      axis: 'y',
      value: Math.max(...found.map((row) => Number(row[metric]))),
      label: `${method}, best`,
    }),
  );
  const series = [...groupBy(swept, ({ method = 'runs' }) => String(method))].map(
    ([method, found]): Series => ({
      name: method,
      mark: 'line',
      points: [...groupBy(found, (row) => Number(row[setting]))]
        .sort(([a], [b]) => a - b)
        .map(([x, same]) =>
          pointOf(
            x,
            same.map((row) => Number(row[metric])),
          ),
        ),
    }),
  );
  return [
    {
      kind: 'figure',
      name,
      title: `${metric} ${sweep.title}`,
      caption: `One point per setting; several rows with the same setting are a mean with its 95% interval.`,
      x: { label },
      y: { label: metric },
      series,
      rules,
      source: [],
    },
  ];
}

function pointOf(x: number, values: readonly number[]): Point {
  return values.length === 1 ? { x, y: values[0] } : meanPoint(x, values);
}

/** Which of the two divergences a run's metric is. */
const KL_CAPTIONS: Readonly<Record<string, string>> = {
  eval_kl_chosen: ' KL is over held-out chosen answers, not over samples of the policy.',
  eval_kl_samples: " KL is over the policy's own samples.",
};

/** epsilon-DPO 4b: what a method reaches at which distance from the reference. */
export function metricOverKl({ settings, metric }: Material, kl: string): Result[] {
  const rows = settings.filter((row) => typeof row[metric] === 'number' && typeof row[kl] === 'number');
  if (rows.length === 0) {
    throw new MissingSource(
      `needs --sweep FILE.jsonl with "method", "beta", "${kl}" and "${metric}", or --run DIRs whose evaluation has both; --kl and --metric name others.`,
    );
  }
  return [
    {
      kind: 'figure',
      name: 'epsilon-4b',
      title: `${metric} over the distance from the reference`,
      caption: `One point per method and beta.${KL_CAPTIONS[kl] ?? ''}`,
      x: { label: kl, unit: 'nats' },
      y: { label: metric },
      series: [...groupBy(rows, ({ method = 'runs' }) => String(method))].map(([method, found]) => ({
        name: method,
        mark: 'line',
        points: [...groupBy(found, ({ beta = 0 }) => Number(beta))]
          .map(([, same]) => ({
            x: mean(same.map((row) => Number(row[kl]))),
            y: mean(same.map((row) => Number(row[metric]))),
          }))
          .sort((a, b) => a.x - b.x),
      })),
      source: [],
    },
  ];
}

/** epsilon-DPO Table 3: every setting with the metric, the KL and the share of pairs whose beta moved. */
export function settingsTable({ settings, metric, kl }: Material): Result[] {
  if (settings.length === 0)
    throw new MissingSource('needs --sweep FILE.jsonl, or --run DIRs of runs that have ended.');
  const isShown = (key: string) =>
    !key.startsWith('eval_') || key === metric || key === kl || key.startsWith('eval_epsilon/');
  const columns = [...new Set(settings.flatMap((row) => Object.keys(row)))].filter(isShown);
  return [
    {
      kind: 'table',
      name: 'epsilon-table-3',
      title: 'Settings and what came of them',
      caption: 'A row of the sweep or a run each.',
      columns,
      rows: settings.map((row) => columns.map((column) => row[column] ?? null)),
      source: [],
    },
  ];
}
