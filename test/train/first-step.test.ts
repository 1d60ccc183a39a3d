/** Where policy and reference are the same model, the first loss is known and rewards are 0; anything else stops the run. */
import { describe, expect, it } from 'vitest';
import { RunError } from '../../src/errors.ts';
import { activate } from '../../src/objectives/choice.ts';
import { objectives } from '../../src/objectives/registry.ts';
import { checkFirstStep } from '../../src/train/first-step.ts';
import { testGpu } from '../support/gpu.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';

const dpo = activate({ name: 'dpo' });

const metrics = (loss: number, chosen = 0, rejected = 0) => ({
  loss,
  'rewards/chosen': chosen,
  'rewards/rejected': rejected,
});

describe('the first step', () => {
  const known = objectives.filter(({ bind }) => {
    const { lossAtReference, needs } = bind({});
    return lossAtReference !== undefined && needs.referenceUpdate === undefined;
  });

  it.each(known.map(({ name }) => name))('of a real run of %s passes', async (name) => {
    const trainer = await openTrainer(await testGpu(), {
      objective: { name },
      train: randomPairs(4, 2, 3, 9),
      mode: 'in_step',
      training: { max_steps: 1 },
    });
    const [first] = await runSteps(trainer, 1);
    trainer.free();
    expect(first['rewards/chosen']).toBe(0);
    checkFirstStep(activate({ name }), true, first);
  });

  it.each([
    ['a loss that is off by more than 1e-4', metrics(Math.LN2 + 2e-4)],
    ['a chosen reward that is not exactly 0', metrics(Math.LN2, 1e-9)],
    ['a rejected reward that is not exactly 0', metrics(Math.LN2, 0, -1e-9)],
    ['a loss of NaN', metrics(Number.NaN)],
  ])('stops at %s, with what was expected', (_, wrong) => {
    expect(() => checkFirstStep(dpo, true, wrong)).toThrow(RunError);
    expect(() => checkFirstStep(dpo, true, wrong)).toThrow(/loss of dpo must be 0\.6931 and rewards 0/);
  });

  it('is not checked where the reference is another model, precomputed, or the loss there depends on the rows', () => {
    const wrong = metrics(3, 1, 2);
    checkFirstStep(dpo, false, wrong);
    checkFirstStep(activate({ name: 'rdpo' }), true, wrong);
  });
});
