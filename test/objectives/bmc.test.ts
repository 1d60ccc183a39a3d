/** lambda = 1 + min(sg(1 / p), delta) on differing tokens, on top of five objectives. */
import { describe, expect, it } from 'vitest';
import { type ActiveObjective, activate } from '../../src/objectives/choice.ts';
import { expectClose, expectSameBits } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { type HostAnswer, type HostPair, randomPairs, runStep } from './step.ts';

const pairs = randomPairs(9, [
  [4, 3],
  [2, 6],
  [5, 5],
]);
const settings: Readonly<Record<string, object>> = { ipo: { tau: 0.5 }, simpo: { beta: 1 } };

/** The objective with weights that are given, so that they stay what they are when log-probs move. */
function frozen(name: string): ActiveObjective {
  return activate({ name, settings: settings[name], dataWeights: true });
}

function mapAnswers(
  change: (answer: HostAnswer, side: 'chosen' | 'rejected', p: number) => HostAnswer,
): HostPair[] {
  return pairs.map(({ chosen, rejected, mismatched }, p) => ({
    chosen: chosen && change(chosen, 'chosen', p),
    rejected: rejected && change(rejected, 'rejected', p),
    mismatched,
  }));
}

const lambda = ({ logps, diff }: HostAnswer, delta: number) =>
  logps.map((logp, t) => Math.fround(1 + (diff?.[t] ?? 0) * Math.min(Math.exp(-logp), delta)));

describe('BMC', () => {
  it('weighs differing tokens by 1 + min(1 / p, delta) and the others by 1', async () => {
    const active = activate({ name: 'dpo', bmc: { delta: 3 } });
    const { values } = await runStep(await testGpu(), active, pairs);
    const expected = pairs.flatMap(({ chosen, rejected }) => [
      ...[chosen, rejected].flatMap((a) => (a === undefined ? [] : lambda(a, 3))),
      1,
    ]);
    expectClose(values.weights, expected, 1e-6, 'weights');
  });

  it('stays finite for log-probs of -1e4 and exactly 0', async () => {
    const active = activate({ name: 'dpo', bmc: { delta: 2 } });
    const answer = { logps: [-1e4, 0, 0], ref: [-1, -1, -1], diff: [1, 1, 0] };
    const { values } = await runStep(await testGpu(), active, [{ chosen: answer, rejected: answer }]);
    expectClose(values.weights, [3, 2, 1, 3, 2, 1], 1e-6, 'weights');
  });

  it('logs mean weight and share of varied tokens per side', async () => {
    const { values } = await runStep(await testGpu(), activate({ name: 'dpo', bmc: {} }), pairs);
    const mean = (list: readonly number[]) => list.reduce((a, b) => a + b, 0) / list.length;
    for (const side of ['chosen', 'rejected'] as const) {
      const answers = pairs.map((p) => p[side]).filter((a) => a !== undefined);
      expectClose(
        values[`bmc/weight_${side}`],
        answers.map((a) => mean(lambda(a, 2))),
        1e-5,
        'mean weight',
      );
      expectClose(
        values[`bmc/varied_${side}`],
        answers.map((a) => mean(a.diff ?? [])),
        1e-6,
        'varied',
      );
    }
  });

  describe.each(['dpo', 'ipo', 'rdpo', 'orpo', 'simpo'])('on %s', (name) => {
    it('passes nothing back through the weights: the gradient is that of frozen weights, to the bit', async () => {
      const gpu = await testGpu();
      const withBmc = await runStep(gpu, activate({ name, settings: settings[name], bmc: {} }), pairs);
      const weights = withBmc.values.weights;
      let start = 0;
      const given: HostPair[] = pairs.map(({ chosen, rejected, mismatched }) => {
        const take = (answer: HostAnswer | undefined) => {
          if (answer === undefined) return undefined;
          const part = { ...answer, weights: weights.slice(start, start + answer.logps.length) };
          start += answer.logps.length;
          return part;
        };
        const pair = { chosen: take(chosen), rejected: take(rejected), mismatched };
        start += mismatched?.logps.length ?? 0;
        return pair;
      });
      const withFrozen = await runStep(gpu, frozen(name), given);
      expect(withFrozen.loss).toBe(withBmc.loss);
      const bits = (run: typeof withBmc) =>
        Float32Array.from([run.gradient.chosen, run.gradient.rejected].flat(2));
      expectSameBits(bits(withBmc), bits(withFrozen), 'gradient');
    });

    it('agrees with finite differences of the loss with frozen weights, and not with moving ones', async () => {
      const gpu = await testGpu();
      const moving = activate({ name, settings: settings[name], bmc: { delta: 50 } });
      const { gradient } = await runStep(gpu, moving, pairs);
      // Only varied tokens move: there the two losses differ.
      const direction = (answer: HostAnswer, t: number) => answer.diff?.[t] ?? 0;
      const moved = (step: number, weights: boolean) =>
        mapAnswers((answer) => ({
          ...answer,
          logps: answer.logps.map((logp, t) => logp + step * direction(answer, t)),
          ...(weights ? { weights: lambda(answer, 50) } : {}),
        }));
      const step = 1 / 64;
      const slope = async (active: ActiveObjective, weights: boolean) => {
        const above = await runStep(gpu, active, moved(step, weights));
        const below = await runStep(gpu, active, moved(-step, weights));
        return (above.loss - below.loss) / (2 * step);
      };
      const expected = pairs.reduce((sum, pair, p) => {
        const along = (side: 'chosen' | 'rejected') => {
          const answer = pair[side];
          if (answer === undefined) return 0;
          return gradient[side][p].reduce((total, g, t) => total + g * direction(answer, t), 0);
        };
        return sum + along('chosen') + along('rejected');
      }, 0);
      expectClose([await slope(frozen(name), true)], [expected], 5e-3, 'slope with frozen weights');
      const through = await slope(moving, false);
      expect(Math.abs(through - expected)).toBeGreaterThan(0.05 * Math.abs(expected));
    });
  });
});
