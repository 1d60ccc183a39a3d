/** Statistics, the draw and beta' over the whole optimizer batch. */
import { describe, expect, it } from 'vitest';
import { activate } from '../../src/objectives/choice.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { type HostPair, runStep } from './step.ts';

/** Ten pairs whose gap h is the number given: beta' is taken from these. */
const gaps = [-4, -1, 0.5, 1, 1.5, 2, 2.5, 4, 7, 12];
const pairs: HostPair[] = gaps.map((gap) => ({
  chosen: { logps: [-1], ref: [-1 - gap] },
  rejected: { logps: [-2], ref: [-2] },
}));
const state = { mean: 1.5, deviation: 2 };
const active = activate({ name: 'beta-dpo', settings: { beta: 0.1, a: 0.6, rho: 0.4, momentum: 0.9 } });

const mean = gaps.reduce((a, b) => a + b) / gaps.length;
const deviation = Math.sqrt(gaps.reduce((s, g) => s + (g - mean) ** 2, 0) / (gaps.length - 1));
const m = 0.9 * 1.5 + 0.1 * mean;
const s = 0.9 * 2 + 0.1 * deviation;

function kept(values: readonly number[]): number[] {
  return values.flatMap((weight, p) => (weight > 0 ? [p] : []));
}

describe('beta-DPO in training', () => {
  it('keeps int(B (1 - rho)) pairs, those nearest to the mean when the noise is level', async () => {
    const { values } = await runStep(await testGpu(), active, pairs, { state });
    expect(kept(values.keep)).toEqual([2, 3, 4, 5, 6, 7]);
    expectClose(
      values.keep,
      gaps.map((_, p) => (p >= 2 && p <= 7 ? 1 / 6 : 0)),
      1e-6,
      'keep',
    );
  });

  it('draws by Gumbel noise on log w: the largest g - ((A - m) / s)^2 / 2', async () => {
    const gumbels = [9, -3, 0.2, -0.7, 1.1, -2.5, 0, 3, 0.4, 14];
    const { values } = await runStep(await testGpu(), active, pairs, { state, gumbels });
    const priority = gaps.map((g, p) => gumbels[p] - 0.5 * ((g - m) / s) ** 2);
    const best = gaps.map((_, p) => p).sort((a, b) => priority[b] - priority[a]);
    expect(kept(values.keep)).toEqual(best.slice(0, 6).sort((a, b) => a - b));
  });

  it('moves its statistics and takes beta from the kept pairs', async () => {
    const { values, loss } = await runStep(await testGpu(), active, pairs, { state });
    expectClose(values['next.mean'], [m], 1e-6, 'mean');
    expectClose(values['next.deviation'], [s], 1e-6, 'deviation');
    const keptMean = gaps.slice(2, 8).reduce((a, b) => a + b) / 6;
    const beta = 0.1 * (1 + 0.6 * (keptMean - m));
    expectClose(values['beta_dpo/beta'], [beta], 1e-6, 'beta');
    const expected = gaps.slice(2, 8).reduce((sum, g) => sum + Math.log1p(Math.exp(-beta * g)), 0) / 6;
    expectClose([loss], [expected], 1e-6, 'loss');
  });

  it('passes nothing back to the pairs left out', async () => {
    const { gradient } = await runStep(await testGpu(), active, pairs, { state });
    gradient.chosen.forEach(([g], p) => {
      expect(g !== 0).toBe(p >= 2 && p <= 7);
    });
  });
});

describe('beta-DPO in evaluation', () => {
  it('keeps every pair, uses the statistics as they are and moves nothing', async () => {
    const { values } = await runStep(await testGpu(), active, pairs, { state, training: false });
    expectClose(
      values.keep,
      gaps.map(() => 0.1),
      1e-6,
      'keep',
    );
    expect(values['beta_dpo/gap_mean']).toEqual([1.5]);
    expectClose(values['beta_dpo/beta'], [0.1 * (1 + 0.6 * (mean - 1.5))], 1e-6, 'beta');
    expect(values['next.mean']).toBeUndefined();
  });
});
