/** The charts: which tokens carry the margin, how training moved it, which pairs flipped, where two models disagree. */
import type { Result } from '../../src/analyze/figure.ts';
import type { PairStatistics, ScoredPair } from '../worker/protocol.ts';
import { analysis } from './analysis.ts';
import { h } from './dom.ts';
import { figure, type PlotMarks } from './figure.ts';
import type { RunEntry } from './library.ts';
import { creditsOf, labelShifts, meanByPosition, shareForHalf, sum } from './views.ts';

export interface ChartsData {
  readonly panes: readonly { readonly name: string; readonly scored: ScoredPair }[];
  readonly pair: number;
  /** Statistics of the data, by the name of their model. */
  readonly statistics: ReadonlyMap<string, readonly PairStatistics[]>;
  readonly runs: readonly RunEntry[];
  /** Of `prefgrad analyze`. */
  readonly figures: readonly Result[];
  openPair(index: number): void;
  /** Marks a token of the first pane. */
  pointAt(side: 'chosen' | 'rejected', index: number): void;
}

/** Tokens that the ranked bars show. */
const RANKED = 14;
/** Positions that the span plot shows; spans are rarely longer. */
const SPAN_POSITIONS = 8;
/** Height of what is inside the axes of a chart (figure.ts). */
const PLOT_PIXELS = 160;

export function chartsPanel(data: ChartsData): HTMLElement {
  const known = [...data.statistics].filter(([, rows]) => rows.length > 1);
  const figures = [
    ...data.figures.map(analysis),
    ...data.panes.slice(0, 1).flatMap(({ name, scored }) => tokenFigures(name, scored, data)),
    ...(known.length > 1 ? [disagreement(known[0], known[1], data)] : []),
    ...known.slice(0, 1).flatMap(([name, rows]) => [margins(name, rows, data), spans(name, rows)]),
    ...runFigures(data.runs),
  ];
  if (figures.length === 0)
    figures.push(h('p', { class: 'quiet' }, 'Charts come with the first scored pair.'));
  return h('div', { class: 'charts' }, ...figures);
}

function tokenFigures(name: string, scored: ScoredPair, { pointAt }: ChartsData): HTMLElement[] {
  const credits = creditsOf(scored).filter(({ credit }) => credit !== 0);
  if (credits.length === 0) return [];
  const share = Math.round(100 * shareForHalf(credits));
  const ranked = credits
    .slice(0, RANKED)
    .map((token, i) => ({ ...token, label: `${i + 1}. ${token.text.trim() || '␣'}` }));
  const point = (i: number) => pointAt(ranked[i].side, ranked[i].index);
  const total = sum(credits.map(({ credit }) => Math.abs(credit)));
  let reached = 0;
  const curve = credits.map(({ credit }, i) => {
    reached += Math.abs(credit);
    return { tokens: (100 * (i + 1)) / credits.length, share: (100 * reached) / total };
  });
  return [
    figure(
      `${share}% of the tokens make half of the margin (${name})`,
      'ranked',
      ({ barX, ruleX }) => ({
        height: 24 * ranked.length + 60,
        marginBottom: 40,
        marginLeft: 96,
        x: { label: 'credit: what the token adds to the margin →', grid: true },
        y: { label: null, domain: ranked.map(({ label }) => label) },
        marks: [
          barX(ranked, {
            x: 'credit',
            y: 'label',
            fill: ({ credit }: { credit: number }) => (credit < 0 ? 'var(--below)' : 'var(--above)'),
            title: ({ side, index }: { side: string; index: number }) => `${side}, token ${index + 1}`,
          }),
          ruleX([0]),
        ],
      }),
      { onClick: point, onPoint: point },
    ),
    figure(
      'Share of the margin by share of tokens, the most decisive first',
      'share',
      ({ lineY, ruleY }) => ({
        x: { label: 'tokens, % →' },
        y: { label: '↑ of the sum of |credit|, %', domain: [0, 100], grid: true },
        marks: [lineY(curve, { x: 'tokens', y: 'share', stroke: 'var(--ink)' }), ruleY([0])],
      }),
    ),
  ];
}

function margins(name: string, rows: readonly PairStatistics[], { openPair }: ChartsData): HTMLElement {
  const wins = rows.filter(({ margin }) => margin > 0).length;
  const flipped = rows.filter((row) => row.flipped).length;
  return figure(
    `${name} prefers the chosen answer more than its reference in ${wins} of ${rows.length} pairs; ${flipped} flipped`,
    'histogram',
    ({ dot, ruleX, dodgeY }) => ({
      height: 120,
      x: { label: 'log-ratio margin, nats →', grid: true },
      marks: [
        ruleX([0]),
        dot(
          rows,
          dodgeY({
            x: 'margin',
            r: 4,
            fill: (row: PairStatistics) => (row.flipped ? 'var(--flipped)' : 'var(--quiet)'),
          }),
        ),
      ],
    }),
    { onClick: (i) => openPair(rows[i].index) },
  );
}

function disagreement(
  [first, a]: [string, readonly PairStatistics[]],
  [second, b]: [string, readonly PairStatistics[]],
  { openPair, pair }: ChartsData,
): HTMLElement {
  const others = new Map(b.map((row) => [row.index, row.margin]));
  const points = a.flatMap(({ index, margin }) => {
    const other = others.get(index);
    return other === undefined ? [] : [{ index, a: margin, b: other }];
  });
  const differ = points.filter((p) => p.a > 0 !== p.b > 0).length;
  return figure(
    `${first} and ${second} disagree about ${differ} of ${points.length} pairs`,
    'scatter',
    ({ dot, ruleX, ruleY }) => ({
      height: 300,
      x: { label: `margin under ${first}, nats →`, grid: true },
      y: { label: `↑ margin under ${second}, nats`, grid: true },
      marks: [
        ruleX([0]),
        ruleY([0]),
        dot(points, {
          x: 'a',
          y: 'b',
          r: 4,
          fill: (p: { index: number }) => (p.index === pair ? 'var(--ink)' : 'var(--hue1)'),
          title: (p: { index: number }) => `pair ${p.index + 1}`,
        }),
      ],
    }),
    { onClick: (i) => openPair(points[i].index) },
  );
}

/** Mean -log p of varied tokens by their place in a span, over the data (BMC, Figure 2). */
function spans(name: string, rows: readonly PairStatistics[]): HTMLElement {
  const lines = (['chosen', 'rejected'] as const).map((side) => ({
    side,
    points: meanByPosition(
      rows.flatMap((row) => row.spans[side]),
      SPAN_POSITIONS,
    ).flatMap((surprise, i) => (surprise === null ? [] : [{ position: i + 1, surprise }])),
  }));
  const ends = lines.map(({ points }) => points.at(-1)?.surprise ?? 0);
  const highest = Math.max(...lines.flatMap(({ points }) => points.map(({ surprise }) => surprise)));
  const shifts = labelShifts(ends, PLOT_PIXELS / highest);
  return figure(
    `Varied tokens surprise ${name} most where a span begins (BMC, Figure 2)`,
    'spans',
    ({ lineY, dot, text }) => ({
      x: { label: 'place in a span of varied tokens →', ticks: SPAN_POSITIONS, tickFormat: 'd' },
      y: { label: '↑ mean −log p, nats', grid: true, zero: true },
      marginRight: 60,
      // Chosen is drawn as a full line and rejected as a dashed one, everywhere.
      marks: lines.flatMap(({ side, points }, i) => {
        const place = { x: 'position', y: 'surprise' };
        const isDashed = side === 'rejected';
        return [
          lineY(points, { ...place, stroke: 'var(--ink)', ...(isDashed ? { strokeDasharray: '4 3' } : {}) }),
          dot(points, { ...place, fill: isDashed ? 'var(--paper)' : 'var(--ink)', stroke: 'var(--ink)' }),
          text(points.slice(-1), { ...place, text: () => side, textAnchor: 'start', dx: 8, dy: shifts[i] }),
        ];
      }),
    }),
  );
}

const METRICS: readonly (readonly [string, string])[] = [
  ['loss', 'loss'],
  ['rewards/margins', 'margin of rewards'],
  ['rewards/accuracies', 'share of pairs with chosen above rejected'],
  ['eval_rewards/margins', 'margin of rewards, held-out'],
  ['grad_norm', 'gradient norm'],
];

/** Metrics of all runs, overlaid and labelled by name. */
function runFigures(runs: readonly RunEntry[]): HTMLElement[] {
  return METRICS.flatMap(([key, label]) => {
    const points = runs.flatMap(({ name, metrics }) =>
      metrics.flatMap((line) =>
        typeof line[key] === 'number' ? [{ run: name, step: line.step, value: line[key] }] : [],
      ),
    );
    if (points.length === 0) return [];
    return [
      figure(`${label}, by optimizer step`, 'curve', (marks) => curves(marks, points, label, runs.length)),
    ];
  });
}

function curves(
  { lineY, text }: PlotMarks,
  points: readonly { readonly run: string; readonly step: number; readonly value: number }[],
  label: string,
  runs: number,
) {
  const names = [...new Set(points.map(({ run }) => run))];
  const hue = ({ run }: { run: string }) => `var(--hue${(names.indexOf(run) % 5) + 1})`;
  const values = points.map(({ value }) => value);
  const ends = names.map((name) => points.filter(({ run }) => run === name).slice(-1));
  const range = Math.max(...values) - Math.min(...values);
  const shifts = labelShifts(
    ends.map(([{ value }]) => value),
    PLOT_PIXELS / (range || 1),
  );
  const labels = ends.map((end, i) =>
    text(end, { x: 'step', y: 'value', text: 'run', textAnchor: 'start', dx: 6, dy: shifts[i], fill: hue }),
  );
  return {
    x: { label: 'optimizer step →', tickFormat: 'd' },
    y: { label: `↑ ${label}`, grid: true },
    // As wide as the longest name at the end of its line.
    marginRight: runs > 1 ? Math.min(150, 12 + 6 * Math.max(...names.map(({ length }) => length))) : 20,
    marks: [lineY(points, { x: 'step', y: 'value', z: 'run', stroke: hue }), ...(runs > 1 ? labels : [])],
  };
}
