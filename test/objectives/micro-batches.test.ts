/** No result depends on how a step is cut: separable objectives give the same loss and gradient in parts. */
import { describe, expect, it } from 'vitest';
import { activate, type ObjectiveChoice } from '../../src/objectives/choice.ts';
import { objectives } from '../../src/objectives/registry.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { type HostPair, randomPairs, runStep } from './step.ts';

const pairs = randomPairs(5, [
  [3, 4],
  [1, 6],
  [7, 2],
  [2, 2],
  [5, 1],
]);
/** Micro-batches of 2, 1 and 2 pairs; two of them end in empty slots. */
const cuts: readonly (readonly HostPair[])[] = [
  [pairs[0], pairs[1], {}],
  [pairs[2]],
  [pairs[3], pairs[4], {}, {}],
];

const choices: ObjectiveChoice[] = [
  ...objectives.map(({ name }) => ({ name })),
  ...objectives.filter((o) => o.takesTokenWeights).map(({ name }) => ({ name, bmc: {} })),
  { name: 'orpo', settings: { nll: 'sequence_mean' } },
  { name: 'simpo', settings: { sft_weight: 0.5, label_smoothing: 0.1 } },
];
const separable = choices.map(activate).filter((active) => active.separable);

describe('a step in three micro-batches is the step in one', () => {
  it.each(
    separable.map(
      (a) => [a.tokenWeights === undefined ? a.name : `${a.name} with ${a.tokenWeights.name}`, a] as const,
    ),
  )('%s', async (_, active) => {
    const gpu = await testGpu();
    const whole = await runStep(gpu, active, pairs);
    const parts = [];
    for (const cut of cuts) parts.push(await runStep(gpu, active, cut, { step: pairs }));
    const sum = parts.reduce((total, part) => total + part.loss, 0);
    expectClose([sum], [whole.loss], 1e-6, 'loss');
    for (const side of ['chosen', 'rejected'] as const) {
      const joined = parts.flatMap((part) => part.gradient[side].flat());
      expectClose(joined, whole.gradient[side].flat(), 1e-6, `gradient of ${side}`);
    }
    for (const name of Object.keys(whole.values).filter((n) => n.startsWith('step.'))) {
      const total = parts.reduce((value, part) => value + part.values[name][0], 0);
      expectClose([total], whole.values[name], 1e-6, name);
    }
  });

  it('leaves out the two whose terms are over the whole batch only', () => {
    expect(
      objectives
        .map((o) => activate({ name: o.name }))
        .filter((a) => !a.separable)
        .map((a) => a.name),
    ).toEqual(['kto', 'beta-dpo']);
  });
});

describe('empty slots', () => {
  it.each(['kto', 'beta-dpo'])('change nothing in %s', async (name) => {
    const gpu = await testGpu();
    const active = activate({ name });
    const state: Record<string, number> = name === 'beta-dpo' ? { mean: 0.5, deviation: 2 } : {};
    const options = { state, gumbels: [0, 0.3, -1, 2, 0.1] };
    const bare = await runStep(gpu, active, pairs, options);
    const padded = await runStep(gpu, active, [...pairs, {}, {}], options);
    expectClose([padded.loss], [bare.loss], 1e-6, 'loss');
    expectClose(padded.gradient.chosen.flat(), bare.gradient.chosen.flat(), 1e-6, 'gradient');
  });
});

describe('rewards', () => {
  it.each(separable.map((a) => [a.name, a] as const))(
    'of %s are the sums of its contributions',
    async (_, a) => {
      const { values, gradient } = await runStep(await testGpu(), a, pairs);
      let start = 0;
      pairs.forEach((pair, p) => {
        for (const side of ['chosen', 'rejected', 'mismatched'] as const) {
          const length = pair[side]?.logps.length ?? 0;
          const part = values.contributions.slice(start, start + length);
          const sum = part.reduce((total, value) => total + value, 0);
          if (side !== 'mismatched') expectClose([values[`rewards/${side}`][p]], [sum], 1e-6, `${side} ${p}`);
          start += length;
        }
      });
      expect(gradient.chosen).toHaveLength(pairs.length);
    },
  );
});
