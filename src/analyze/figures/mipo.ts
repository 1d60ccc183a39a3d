/**
 * MIPO (Jang et al. 2024). Of a pair, with mean log-probs per token:
 *
 *   K = Rw/|yw| - Rl/|yl| under the reference,  f = Pw/|yw| - Pl/|yl| under the policy,  gain = f - K
 */
import { mean } from '../../evaluate/statistics.ts';
import type { ScoredAnswer, ScoredLine } from '../../score/record.ts';
import type { Result, Series, Table } from '../figure.ts';
import { type Material, needed, referenced } from '../material.ts';
import { equalParts, meanPoint } from '../summary.ts';

export interface Gap {
  readonly pair: ScoredLine;
  readonly K: number;
  readonly policy: number;
}

/** K and the policy's gap of every pair, by rising K. */
export function gapsOf(pairs: readonly ScoredLine[]): Gap[] {
  const ofReference = ({ ref_logps = [] }: ScoredAnswer) => mean(ref_logps);
  return pairs
    .map((pair) => ({
      pair,
      K: ofReference(pair.chosen) - ofReference(pair.rejected),
      policy: mean(pair.chosen.logps) - mean(pair.rejected.logps),
    }))
    .sort((a, b) => a.K - b.K);
}

const GAIN = { label: 'gain f − K', unit: 'nats per token' };
const PARTS = ['lowest fifth', '2nd', '3rd', '4th', 'highest fifth'];

/** Figure 7: the gain in five equal parts by K. */
export function gainsByPart(material: Material): Result[] {
  const scores = referenced(material);
  return [
    {
      kind: 'figure',
      name: 'mipo-7',
      title: 'Where a method learns, by what the reference prefers',
      caption:
        "Pairs sorted by the reference's K into five equal parts; the mean gain f - K of the policy's gap of mean log-probs over the reference's, with its 95% interval.",
      x: { label: 'pairs by K', scale: 'point' },
      y: GAIN,
      series: scores.map(({ name, pairs }) => ({
        name,
        mark: 'bars',
        points: equalParts(gapsOf(pairs), 5).map((part, n) =>
          meanPoint(
            PARTS[n],
            part.map(({ K, policy }) => policy - K),
          ),
        ),
      })),
      source: scores.map(({ path }) => path),
    },
  ];
}

/** Figure 4: the lowest and the highest 20% while training goes on. */
export function gainsOverSteps({ runs }: Material): Result[] {
  const first = 'eval_mipo/quintile_1';
  const found = needed(
    runs.filter(({ metrics }) => metrics.some((row) => first in row)),
    `needs --run DIR whose metrics.jsonl has ${first}: a method with a reference, data.eval of five pairs or more, training.eval_steps.`,
  );
  const series = found.flatMap(({ name, metrics }) =>
    [
      { part: 'lowest 20%', key: first, mark: 'line' as const },
      { part: 'highest 20%', key: 'eval_mipo/quintile_5', mark: 'dotted' as const },
    ].map(
      ({ part, key, mark }): Series => ({
        name: `${name}, ${part}`,
        group: name,
        mark,
        points: metrics.filter((row) => key in row).map((row) => ({ x: row.step, y: row[key] })),
      }),
    ),
  );
  return [
    {
      kind: 'figure',
      name: 'mipo-4',
      title: 'Pairs that the reference ranks worst and best',
      caption:
        "The mean gain f - K of the policy's gap of mean log-probs over the reference's, over the 20% of held-out pairs of lowest and of highest K.",
      x: { label: 'optimizer step' },
      y: GAIN,
      series,
      source: found.map(({ directory }) => `${directory}/metrics.jsonl`),
    },
  ];
}

const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const grid = (from: number, to: number, count: number): number[] =>
  Array.from({ length: count + 1 }, (_, i) => from + ((to - from) * i) / count);

/** Figure 5: the loss of the first step, -log sigmoid(beta (K - log(1 + e^K))), beside DPO's ln 2. */
export function firstLoss({ beta }: Material): Result[] {
  return [
    {
      kind: 'figure',
      name: 'mipo-5',
      title: 'Loss of a pair before the first step',
      caption: `-log sigmoid(beta (K - log(1 + e^K))) at beta = ${beta}; DPO's is ln 2 whatever K is. From the formula.`,
      x: { label: "K, the reference's gap of mean log-probs", unit: 'nats per token' },
      y: { label: 'loss', unit: 'nats' },
      series: [
        {
          name: 'MIPO',
          mark: 'line',
          points: grid(-3, 3, 120).map((K) => ({ x: K, y: softplus(beta * (softplus(K) - K)) })),
        },
      ],
      rules: [{ axis: 'y', value: Math.LN2, label: 'DPO: ln 2' }],
      source: [],
    },
  ];
}

/** Figure 6: the loss over the policy's gap at a high and a low K; q = log(1 + e^K) is where it bends. */
export function lossOverGap(material: Material): Result[] {
  const { beta } = material;
  const known = material.scores.filter(({ pairs }) => pairs[0]?.chosen.ref_logps !== undefined);
  const all = known.flatMap(({ pairs }) => gapsOf(pairs).map(({ K }) => K)).sort((a, b) => a - b);
  const at = (share: number, otherwise: number) =>
    all.length === 0 ? otherwise : all[Math.floor(share * (all.length - 1))];
  const levels = [
    { name: 'low K', K: at(0.1, -2) },
    { name: 'high K', K: at(0.9, 2) },
  ];
  const from = Math.min(...levels.map(({ K }) => K)) - 1;
  const to = Math.max(...levels.map(({ K }) => softplus(K))) + 1;
  return [
    {
      kind: 'figure',
      name: 'mipo-6',
      title: "Loss over the policy's gap, at a low and a high K",
      caption: `-log sigmoid(beta (f - q)) with q = log(1 + e^K), beta = ${beta}; K is ${
        all.length === 0 ? 'an example' : 'the 10th and 90th percentile of the scores'
      }.`,
      x: { label: "f, the policy's gap of mean log-probs", unit: 'nats per token' },
      y: { label: 'loss', unit: 'nats' },
      series: levels.map(({ name, K }) => ({
        name: `${name} (${K.toFixed(2)})`,
        mark: 'line',
        points: grid(from, to, 120).map((f) => ({ x: f, y: softplus(beta * (softplus(K) - f)) })),
      })),
      rules: levels.map(({ name, K }) => ({
        axis: 'x',
        value: softplus(K),
        label: `q, ${name}`,
      })),
      source: known.map(({ path }) => path),
    },
  ];
}

const SHOWN = 10;

/** Appendix D: the pairs of lowest K, and what became of them. */
export function lowestPairs(material: Material): Result[] {
  const scores = referenced(material);
  const [first] = scores;
  const policies = scores.map(
    ({ pairs }) => new Map(gapsOf(pairs).map(({ pair, policy }) => [pair.index, policy])),
  );
  const table: Table = {
    kind: 'table',
    name: 'mipo-d',
    title: 'Pairs of lowest K',
    caption: `The ${SHOWN} pairs that the reference of ${first.name} ranks worst, with each policy's gap (nats per token).`,
    columns: ['row', 'K', ...scores.map(({ name }) => `gap, ${name}`), 'chosen', 'rejected'],
    rows: gapsOf(first.pairs)
      .slice(0, SHOWN)
      .map(({ pair, K }) => [
        pair.index,
        K,
        ...policies.map((policy) => policy.get(pair.index) ?? null),
        pair.chosen.tokens.join(''),
        pair.rejected.tokens.join(''),
      ]),
    source: scores.map(({ path }) => path),
  };
  return [table];
}
