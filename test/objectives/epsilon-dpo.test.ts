/** Steps from the monotonicity of perturbed log-likelihoods, and the beta they lead to. */
import { describe, expect, it } from 'vitest';
import { activate } from '../../src/objectives/choice.ts';
import { readFixture } from '../cases/golden.ts';
import type { Golden } from '../cases/golden-case.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { type HostPair, runStep } from './step.ts';

/** A pair whose criterion gives this step: +1 if H+ > H > H-, -1 if H- > H > H+, else 0. */
function pairWithStep(step: number): HostPair {
  const [plus, minus] = step === 1 ? [0.5, 0.25] : step === -1 ? [-0.5, -0.25] : [0.5, -0.25];
  return {
    chosen: { logps: [-1, -2], ref: [-1.5, -2], plus: [plus, 0], minus: [0, minus] },
    rejected: { logps: [-1], ref: [-0.5], plus: [0], minus: [0] },
  };
}

const epsilon = (settings: object) => activate({ name: 'epsilon-dpo', settings });

describe('beta after an optimizer step', () => {
  const { epsilon: e, trajectory } = readFixture<Golden>('golden/golden.json').epsilon_dpo_beta_update;

  it.each(trajectory.map((t) => [JSON.stringify(t.micro_steps), t] as const))(
    'follows the mean step over all micro-batches: %s',
    async (_, { beta_before: beta, micro_steps, beta_after }) => {
      const active = epsilon({ beta: 0.01, epsilon: e });
      const micro = micro_steps.map((steps) => steps.map(pairWithStep));
      const state: Record<string, number> = { beta };
      let next = Number.NaN;
      for (const pairs of micro) {
        const { values } = await runStep(await testGpu(), active, pairs, { step: micro.flat(), state });
        for (const name of ['step.steps', 'step.factors']) state[name] = (state[name] ?? 0) + values[name][0];
        next = values['next.beta'][0];
      }
      expectClose([next], [beta_after], 1e-6, 'beta');
    },
  );

  const steps = [1, -1, 1, 0];
  const pairs = steps.map(pairWithStep);

  it('is the mean of the betas per pair with beta_update: mean_beta', async () => {
    const active = epsilon({ beta: 0.1, epsilon: 0.25, beta_update: 'mean_beta' });
    const { values } = await runStep(await testGpu(), active, pairs);
    const betas = steps.map((s) => 0.1 / (1 + 0.25 * s));
    expect(values.steps).toEqual(steps);
    expectClose(values.beta_per_pair, betas, 1e-6, 'betas');
    expectClose(values['next.beta'], [betas.reduce((a, b) => a + b) / 4], 1e-6, 'beta');
  });

  it('moves by step_epsilon, whatever e the criterion had', async () => {
    const active = epsilon({ beta: 0.1, epsilon: 0.01, step_epsilon: 0.25 });
    const { values } = await runStep(await testGpu(), active, pairs);
    expectClose(values['next.beta'], [0.1 / (1 + 0.25 * 0.25)], 1e-6, 'beta');
  });

  it('stays where it is in evaluation, which still uses it', async () => {
    const gpu = await testGpu();
    const active = epsilon({ beta: 0.1, epsilon: 0.25 });
    const training = await runStep(gpu, active, pairs, { state: { beta: 0.05 } });
    const evaluation = await runStep(gpu, active, pairs, { state: { beta: 0.05 }, training: false });
    expect(evaluation.values['next.beta']).toBeUndefined();
    expect(evaluation.values.gradient).toBeUndefined();
    expect(evaluation.loss).toBe(training.loss);
    expect(evaluation.values['epsilon/beta']).toEqual([Math.fround(0.05)]);
  });
});

describe('the criterion', () => {
  it('is strict: a tie on either side gives step 0', async () => {
    const tie = (plus: number, minus: number): HostPair => ({
      chosen: { logps: [-1], plus: [plus], minus: [minus] },
      rejected: { logps: [-1], plus: [0], minus: [0] },
    });
    const pairs = [tie(0, 0), tie(0.5, 0), tie(0, 0.5), tie(-0.5, 0), tie(0, -0.5)];
    const { values } = await runStep(await testGpu(), epsilon({}), pairs);
    expect(values.steps.map(Math.abs)).toEqual([0, 0, 0, 0, 0]);
  });

  it('sums tiny changes per token instead of subtracting sums: 1e-9 beside log-probs of -1e3 counts', async () => {
    const far = (change: number): HostPair => ({
      chosen: { logps: [-1000, -1000], plus: [change, 0], minus: [change, 0] },
      rejected: { logps: [-1000], plus: [0], minus: [0] },
    });
    const { values } = await runStep(await testGpu(), epsilon({}), [far(1e-9), far(-1e-9)]);
    expect(values.steps).toEqual([1, -1]);
  });

  it('logs the shares of pairs whose beta rises and falls', async () => {
    const { values } = await runStep(await testGpu(), epsilon({}), [1, -1, 1, 0].map(pairWithStep));
    expect(values['epsilon/increase'].map(Math.abs)).toEqual([0, 1, 0, 0]);
    expect(values['epsilon/decrease'].map(Math.abs)).toEqual([1, 0, 1, 0]);
  });
});
