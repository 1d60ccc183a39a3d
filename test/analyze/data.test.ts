/** What figures are, on numbers that one can add up by hand. */
import { describe, expect, it } from 'vitest';
import { gradientNorm, spanPlaces, splitsByDistance } from '../../src/analyze/figures/bmc.ts';
import { byInterval } from '../../src/analyze/figures/epsilon-dpo.ts';
import { firstLoss, gainsByPart, gapsOf } from '../../src/analyze/figures/mipo.ts';
import { overSetting, SWEEPS } from '../../src/analyze/figures/sweeps.ts';
import type { Material, MetricsRow } from '../../src/analyze/material.ts';
import { readMaterial } from '../../src/analyze/read.ts';
import { equalParts, meanPoint } from '../../src/analyze/summary.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import type { ScoredAnswer, ScoredLine } from '../../src/score/record.ts';

const MATERIAL: Material = {
  runs: [],
  scores: [],
  settings: [],
  reports: [],
  metric: 'win_rate',
  baseline: 'dpo',
  kl: 'eval_kl_chosen',
  beta: 2,
};

function answer(logps: number[], reference: number[], beta = 0.5): ScoredAnswer {
  const rewards = logps.map((logp, t) => beta * (logp - reference[t]));
  return {
    token_ids: logps.map((_, t) => t),
    tokens: logps.map((_, t) => `t${t}`),
    logps,
    ref_logps: reference,
    diff: logps.map(() => 1 as const),
    rewards,
    contributions: rewards,
  };
}

function pair(index: number, chosen: ScoredAnswer, rejected: ScoredAnswer, distance = index): ScoredLine {
  const total = ({ rewards = [] }: ScoredAnswer) => rewards.reduce((a, b) => a + b, 0);
  const margin = total(chosen) - total(rejected);
  const loss = Math.log1p(Math.exp(-margin));
  const place = { index, file: 'rows.jsonl', line: index + 1, prompt: { token_ids: [] } };
  return { ...place, chosen, rejected, margin, loss, edit_distance: distance };
}

/** K = k, and a policy's gap of k + gain. */
const withGap = (index: number, k: number, gain: number) =>
  pair(index, answer([k + gain - 9, k + gain - 9], [k - 9, k - 9]), answer([-9], [-9]));

describe('a run as a setting', () => {
  const weights = { name: 'bmc', settings: { delta: 2.5 } };
  it.each([
    ['token_weights', { name: 'dpo', settings: { beta: 0.1 }, token_weights: weights }],
    ['bmc', { name: 'dpo', settings: { beta: 0.1 }, bmc: { delta: 2.5, diff: 'levenshtein' } }],
  ])('has the name of its token weights and their delta: %s', async (_, objective) => {
    const files = new MemoryFiles();
    files.add('run/metrics.jsonl', '{"step": 4, "eval_loss": 0.5}\n');
    files.add('run/config.yaml', JSON.stringify({ objective }));
    files.add('run/run.json', '{"wall_time_seconds": 1, "global_step": 4}');
    const sources = { runs: [{ name: 'mine', path: 'run' }], scores: [], sweeps: [], reports: [] };
    const settings = { metric: 'eval_loss', baseline: undefined, kl: 'eval_kl_chosen', beta: 1 };
    const material = await readMaterial(files, { ...sources, ...settings });
    const expected = { run: 'mine', method: 'dpo-bmc', beta: 0.1, delta: 2.5, step: 4, eval_loss: 0.5 };
    expect(material.settings).toEqual([expected]);
  });
});

describe('MIPO', () => {
  it('sorts pairs by K, the difference of mean log-probs under the reference', () => {
    const gaps = gapsOf([withGap(0, 1, 0.5), withGap(1, -2, 0.25)]);
    expect(gaps.map(({ K, policy }) => [K, policy])).toEqual([
      [-2, -1.75],
      [1, 1.5],
    ]);
  });

  it('averages the gain over five parts (Figure 7)', () => {
    const pairs = [3, 1, 0, 4, 2].map((k, i) => withGap(i, k, k / 4));
    const [figure] = gainsByPart({ ...MATERIAL, scores: [{ name: 'a', path: 'a.jsonl', pairs }] });
    expect(figure.kind === 'figure' && figure.series[0].points.map(({ y }) => y)).toEqual([
      0, 0.25, 0.5, 0.75, 1,
    ]);
  });

  it('has the loss of the first step at K = 0 (Figure 5): log(1 + 2^beta)', () => {
    const [figure] = firstLoss(MATERIAL);
    const middle = figure.kind === 'figure' ? figure.series[0].points.find(({ x }) => x === 0) : undefined;
    expect(middle?.y).toBeCloseTo(Math.log(1 + 2 ** 2), 12);
  });
});

describe('BMC', () => {
  it('counts places within runs of varied tokens (Figure 2)', () => {
    const marked = { ...answer([-1, -2, -3, -4], [0, 0, 0, 0]), diff: [1, 1, 0, 1] as (0 | 1)[] };
    expect(spanPlaces(marked)).toEqual([
      { place: 1, surprise: 1 },
      { place: 2, surprise: 2 },
      { place: 1, surprise: 4 },
    ]);
  });

  it('has the norm of the gradient of the loss by log-probs that finite differences have', () => {
    const [chosen, rejected, reference] = [
      [-1, -2],
      [-1.5, -0.5, -3],
      [-1.2, -1.8, -2.9],
    ];
    const loss = (a: number[], b: number[]) => pair(0, answer(a, reference), answer(b, reference)).loss ?? 0;
    const h = 1e-5;
    const slopes = [...chosen, ...rejected].map((_, i) => {
      const moved = (by: number) => {
        const all = [...chosen, ...rejected].map((logp, j) => (i === j ? logp + by : logp));
        return loss(all.slice(0, 2), all.slice(2));
      };
      return (moved(h) - moved(-h)) / (2 * h);
    });
    const line = pair(0, answer(chosen, reference), answer(rejected, reference));
    expect(gradientNorm(line)).toBeCloseTo(Math.hypot(...slopes), 8);
  });

  it('splits all files by the edit distance of the first (Figure 5)', () => {
    const before = Array.from({ length: 12 }, (_, i) => withGap(i, 0, i < 6 ? -1 : 1));
    const after = before.map((line) => ({ ...line, edit_distance: 1 }));
    const scores = [
      { name: 'before', path: 'a', pairs: before },
      { name: 'after', path: 'b', pairs: after },
    ];
    const [distance, accuracy] = splitsByDistance({ ...MATERIAL, scores });
    const values = (i: number, s: number) => {
      const figure = [distance, accuracy][i];
      return figure.kind === 'figure' ? figure.series[s].points.map(({ y }) => y) : [];
    };
    expect(values(0, 0)).toEqual([0.5, 2.5, 4.5, 6.5, 8.5, 10.5]);
    expect(values(0, 1)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(values(1, 0)).toEqual([0, 0, 0, 1, 1, 1]);
  });
});

describe('epsilon-DPO', () => {
  it('averages over intervals of 0.2 epochs; evaluations belong to the epoch of their step', () => {
    const rows: MetricsRow[] = [
      { step: 1, epoch: 0.1, up: 1 },
      { step: 2, epoch: 0.2, up: 0 },
      { step: 3, epoch: 0.3, up: 1 },
      { step: 3, kl: 7 },
    ];
    expect(byInterval(rows, 'up')).toEqual([
      { x: 0.2, y: 0.5 },
      { x: 0.4, y: 1 },
    ]);
    expect(byInterval(rows, 'kl')).toEqual([{ x: 0.4, y: 7 }]);
  });
});

describe('sweeps', () => {
  it('average seeds, and draw the best of the baseline as a dotted line (MIPO 3)', () => {
    const settings = [
      { method: 'dpo', beta: 0.1, win_rate: 50 },
      { method: 'dpo', beta: 0.5, win_rate: 55 },
      { method: 'mipo', beta: 25, win_rate: 60 },
      { method: 'mipo', beta: 5, win_rate: 51 },
      { method: 'mipo', beta: 5, win_rate: 53 },
    ];
    const [figure] = overSetting({ ...MATERIAL, settings }, SWEEPS.mipo3);
    if (figure.kind !== 'figure') throw new Error('a table');
    expect(figure.series.map(({ name }) => name)).toEqual(['mipo']);
    expect(figure.series[0].points.map(({ x, y }) => [x, y])).toEqual([
      [5, 52],
      [25, 60],
    ]);
    expect(figure.rules).toEqual([{ axis: 'y', value: 55, label: 'dpo, best' }]);
  });
});

describe('summaries', () => {
  it('have parts whose sizes differ by at most one', () => {
    expect(equalParts([1, 2, 3, 4, 5, 6, 7], 3)).toEqual([
      [1, 2],
      [3, 4, 5],
      [6, 7],
    ]);
    expect(equalParts([1], 3).flat()).toEqual([1]);
  });

  it('have intervals of 1.96 standard errors', () => {
    const { y, low, high } = meanPoint('x', [1, 3]);
    expect([y, low, high].map((value) => Number(value.toFixed(4)))).toEqual([2, 0.04, 3.96]);
  });
});
