/** BMC (Jiang et al. 2025): where varied tokens stand, what each split of the data teaches, rewards of tokens. */
import { wilsonInterval } from '../../evaluate/statistics.ts';
import type { ScoredAnswer, ScoredLine } from '../../score/record.ts';
import type { Figure, Point, Result, Series } from '../figure.ts';
import { type Material, needed, referenced, type Scores } from '../material.ts';
import { equalParts, groupBy, meanPoint, sum } from '../summary.ts';

/** Places of a span that are shown; few spans are longer. */
const PLACES = 8;

/**
 * The -log-probs of varied tokens with their places, from 1, in their spans.
 * A span is a run of tokens that differ from the other answer.
 */
export function spanPlaces({ diff, logps }: ScoredAnswer): { place: number; surprise: number }[] {
  let place = 0;
  return logps.flatMap((logp, t) => {
    place = diff[t] === 1 ? place + 1 : 0;
    return place === 0 ? [] : [{ place, surprise: -logp }];
  });
}

/** Figure 2: the first token of a span is the one that the model did not expect. Files of several checkpoints under one name are averaged. */
export function surpriseInSpans({ scores }: Material): Result[] {
  needed(
    scores,
    'needs --scores NAME=FILE, written by "prefgrad score"; several checkpoints may share a NAME.',
  );
  const series = [...groupBy(scores, ({ name }) => name)].flatMap(([name, files]) =>
    (['chosen', 'rejected'] as const).map((side): Series => {
      const tokens = files.flatMap(({ pairs }) => pairs.flatMap((pair) => spanPlaces(pair[side])));
      const places = groupBy(tokens, ({ place }) => place);
      return {
        name: `${name}, ${side}`,
        group: name,
        mark: side === 'chosen' ? 'line' : 'dotted',
        points: [...places]
          .filter(([place]) => place <= PLACES)
          .sort(([a], [b]) => a - b)
          .map(([place, found]) =>
            meanPoint(
              place,
              found.map(({ surprise }) => surprise),
            ),
          ),
      };
    }),
  );
  const figure: Figure = {
    kind: 'figure',
    name: 'bmc-2',
    title: 'How unexpected varied tokens are, by place in their span',
    caption:
      'Mean -log p of varied tokens with its 95% interval; a span is a run of tokens that differ from the other answer.',
    x: { label: 'place in the span', scale: 'point' },
    y: { label: 'mean -log p', unit: 'nats' },
    series,
    source: scores.map(({ path }) => path),
  };
  return [figure];
}

const SPLITS = 6;
const marginOf = ({ margin = Number.NaN }: ScoredLine): number => margin;

/** Figure 5: six equal splits by the edit distance of the first file's pairs. */
export function splitsByDistance(material: Material): Result[] {
  const scores = referenced(material);
  const [first] = scores;
  const splits = equalParts(
    [...first.pairs].sort((a, b) => a.edit_distance - b.edit_distance),
    SPLITS,
  );
  const names = splits.map((part) => `${part[0].edit_distance}–${part[part.length - 1].edit_distance}`);
  const splitOf = new Map(splits.flatMap((part, n) => part.map(({ index }) => [index, n] as const)));
  const over = (point: (x: string, pairs: readonly ScoredLine[]) => Point) => ({
    series: scores.map(({ name, pairs }): Series => {
      const parts = groupBy(
        pairs.filter(({ index }) => splitOf.has(index)),
        ({ index }) => splitOf.get(index),
      );
      return {
        name,
        mark: 'line',
        points: names.flatMap((x, n) => {
          const part = parts.get(n);
          return part === undefined ? [] : [point(`${n + 1}: ${x}`, part)];
        }),
      };
    }),
    x: { label: `edit distance of the answers in ${first.name}`, unit: 'tokens', scale: 'point' as const },
    source: scores.map(({ path }) => path),
    kind: 'figure' as const,
  });
  const distance: Figure = {
    ...over((x, part) =>
      meanPoint(
        x,
        part.map((pair) => pair.edit_distance),
      ),
    ),
    name: 'bmc-5-distance',
    title: 'Edit distance per split',
    caption: `Six equal splits by edit distance in ${first.name}; a file of bridged pairs shows what bridging leaves of it.`,
    y: { label: 'mean edit distance', unit: 'tokens' },
  };
  const accuracy: Figure = {
    ...over((x, part) => {
      const right = part.filter((pair) => marginOf(pair) > 0).length;
      return { x, y: right / part.length, ...wilsonInterval(right, part.length) };
    }),
    name: 'bmc-5-accuracy',
    title: 'Share of pairs ranked right, per split',
    caption: 'Pairs whose margin of unweighted rewards is above 0, with Wilson intervals.',
    y: { label: 'accuracy' },
  };
  return [distance, accuracy, ...gradients(scores, over)];
}

type Over = (
  point: (x: string, pairs: readonly ScoredLine[]) => Point,
) => Pick<Figure, 'series' | 'x' | 'source' | 'kind'>;

const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/** Is the loss of every pair -log sigmoid of the margin of its contributions, as DPO's is? */
function isLogistic({ pairs }: Scores): boolean {
  return pairs.every(({ loss, chosen, rejected }) => {
    if (loss === undefined || chosen.contributions === undefined || rejected.contributions === undefined)
      return false;
    const expected = softplus(sum(rejected.contributions) - sum(chosen.contributions));
    return Math.abs(loss - expected) <= 1e-3 * (1 + expected);
  });
}

/**
 * The norm of the gradient of DPO's loss by the tokens' log-probs. With contributions w_t r_t, r_t = beta (logp - ref_logp):
 *
 *   d loss / d logp_t = -+ beta sigmoid(-margin) w_t,   norm = beta sigmoid(-margin) sqrt(sum_t w_t^2)
 */
export function gradientNorm({ chosen, rejected }: ScoredLine): number {
  const answers = [chosen, rejected];
  const margin = sum(chosen.contributions ?? []) - sum(rejected.contributions ?? []);
  const weights = answers.flatMap((answer) => answer.weights ?? answer.logps.map(() => 1));
  return (betaOf(answers) / (1 + Math.exp(margin))) * Math.hypot(...weights);
}

/** beta, from the token whose log-prob has moved most. */
function betaOf(answers: readonly ScoredAnswer[]): number {
  let [moved, beta] = [0, Number.NaN];
  for (const { logps, ref_logps: ofReference = [], rewards = [] } of answers) {
    for (const [t, logp] of logps.entries()) {
      const gain = logp - ofReference[t];
      if (Math.abs(gain) > moved) [moved, beta] = [Math.abs(gain), rewards[t] / gain];
    }
  }
  return beta;
}

/** Only where the files say what the loss was; other losses have other gradients. */
function gradients(scores: readonly Scores[], over: Over): Figure[] {
  if (!scores.every(isLogistic)) return [];
  return [
    {
      ...over((x, part) => meanPoint(x, part.map(gradientNorm))),
      name: 'bmc-5-gradient',
      title: 'What a pair of each split teaches',
      caption:
        "Mean norm of the gradient of the loss by the tokens' log-probs, with its 95% interval. The paper has the norm by the parameters.",
      y: { label: 'gradient norm by log-probs' },
    },
  ];
}

/** Figure 6: unweighted rewards of the tokens of the pair whose margin differs most between the files. */
export function tokenRewards(material: Material): Result[] {
  const scores = referenced(material);
  const pair = exampleIndex(scores);
  return scores.flatMap(({ name, path, pairs }) => {
    const line = pairs.find(({ index }) => index === pair);
    if (line === undefined) return [];
    return (['chosen', 'rejected'] as const).map((side): Figure => {
      const { rewards = [], diff } = line[side];
      const points = rewards.map((reward, t) => ({ x: t + 1, y: reward }));
      return {
        kind: 'figure',
        name: `bmc-6-${name}-${side}`,
        title: `Token rewards of a ${side} answer, ${name}`,
        caption: `beta (logp - ref_logp) of every token of row ${pair}, without weights.`,
        x: { label: 'token' },
        y: { label: 'reward' },
        series: [
          { name: 'varied', mark: 'bars', points: points.filter((_, t) => diff[t] === 1) },
          { name: 'common', mark: 'bars', points: points.filter((_, t) => diff[t] === 0) },
        ],
        rules: [{ axis: 'y', value: 0, label: '' }],
        source: [path],
      };
    });
  });
}

/** The row, of those in every file, whose margins lie farthest apart; of one file, that of the largest margin. */
export function exampleIndex(scores: readonly Scores[]): number {
  const margins = scores.map(({ pairs }) => new Map(pairs.map((pair) => [pair.index, marginOf(pair)])));
  const spread = (index: number) => {
    const values = margins.map((of) => of.get(index) ?? Number.NaN);
    return scores.length === 1 ? values[0] : Math.max(...values) - Math.min(...values);
  };
  const common = [...margins[0].keys()].filter((index) => Number.isFinite(spread(index)));
  return common.reduce((best, index) => (spread(index) > spread(best) ? index : best), common[0]);
}

/** Section 5.3: margin and accuracy of unweighted rewards on held-out pairs. */
export function rewardTable(material: Material): Result[] {
  const scores = referenced(material);
  return [
    {
      kind: 'table',
      name: 'bmc-5.3',
      title: 'Rewards on held-out pairs',
      caption:
        'Margins and accuracies of unweighted rewards, beta (logp - ref_logp), with 95% intervals (Wilson for accuracy).',
      columns: ['method', 'pairs', 'margin', 'low', 'high', 'accuracy %', 'low', 'high'],
      rows: scores.map(({ name, pairs }) => {
        const margins = pairs.map(marginOf);
        const { y, low, high } = meanPoint(name, margins);
        const right = margins.filter((margin) => margin > 0).length;
        const share = wilsonInterval(right, pairs.length);
        return [
          name,
          pairs.length,
          y,
          low,
          high,
          (100 * right) / pairs.length,
          100 * share.low,
          100 * share.high,
        ];
      }),
      source: scores.map(({ path }) => path),
    },
  ];
}

/** Figure 9: KL(policy || reference) over the chosen answers of held-out pairs. */
export function klOverSteps({ runs }: Material): Result[] {
  const found = needed(
    runs.filter(({ metrics }) => metrics.some((row) => 'eval_kl_chosen' in row)),
    'needs --run DIR whose metrics.jsonl has eval_kl_chosen: data.eval, training.eval_steps and, in full fine-tuning, reference.mode: in_step.',
  );
  return [
    {
      kind: 'figure',
      name: 'bmc-9',
      title: 'Distance from the reference while training',
      caption:
        'KL(policy || reference) summed over the tokens of held-out chosen answers, mean over answers.',
      x: { label: 'optimizer step' },
      y: { label: 'KL over chosen answers', unit: 'nats' },
      series: found.map(({ name, metrics }) => ({
        name,
        mark: 'line',
        points: metrics
          .filter((row) => 'eval_kl_chosen' in row)
          .map((row) => ({ x: row.step, y: row.eval_kl_chosen })),
      })),
      source: found.map(({ directory }) => `${directory}/metrics.jsonl`),
    },
  ];
}

/** Table 10: run time relative to the first run, which should be DPO. */
export function runTimes({ runs }: Material): Result[] {
  const ended = needed(
    runs.flatMap(({ name, directory, facts }) => (facts === undefined ? [] : [{ name, directory, facts }])),
    'needs --run DIR of runs that have ended (run.json); the first is what others are compared with.',
  );
  const perStep = ended.map(({ facts }) => facts.seconds / facts.step);
  return [
    {
      kind: 'table',
      name: 'bmc-table-10',
      title: 'Run time',
      caption: `Whole runs, evaluation and compilation of shaders included; relative to ${ended[0].name}.`,
      columns: ['run', 'seconds', 'steps', 'seconds per step', 'relative', 'device'],
      rows: ended.map(({ name, facts }, i) => [
        name,
        facts.seconds,
        facts.step,
        perStep[i],
        perStep[i] / perStep[0],
        facts.device,
      ]),
      source: ended.map(({ directory }) => `${directory}/run.json`),
    },
  ];
}

/** Table 9: what making the data cost. */
export function bridgingCost({ reports }: Material): Result[] {
  needed(reports, 'needs --report FILE.report.json, which "prefgrad bridge" writes beside its output.');
  // The usage of one run is part of the whole.
  const keys = [...new Set(reports.flatMap(({ values }) => Object.keys(values)))].filter(
    (key) => !key.startsWith('usage_of_this_run.'),
  );
  return [
    {
      kind: 'table',
      name: 'bmc-table-9',
      title: 'Cost of making the data',
      caption: 'Counts, tokens and cost as the commands reported them.',
      columns: ['file', ...keys.map((key) => key.replace(/^(?:summary|usage)\./, ''))],
      rows: reports.map(({ name, values }) => [name, ...keys.map((key) => values[key] ?? null)]),
      source: reports.map(({ path }) => path),
    },
  ];
}
