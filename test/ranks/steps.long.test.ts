/** Every method, with BMC weights too where it takes them, on one, two and three ranks. */
import { describe, it } from 'vitest';
import { objectives } from '../../src/objectives/registry.ts';
import { hasMpi } from '../support/mpirun.ts';
import { expectSameRuns } from './same-steps.ts';
import { BMC } from './steps.ts';

const methods = [
  ...objectives.map(({ name }) => name),
  ...objectives.filter(({ takesTokenWeights }) => takesTokenWeights).map(({ name }) => name + BMC),
];

describe.skipIf(!hasMpi())(
  'over 20 steps losses agree to 1e-6, and weights to that and 2% of lr x steps',
  () => {
    it.each([2, 3])('on %i ranks', async (ranks) => {
      await expectSameRuns(methods, ranks, 'long');
    });
  },
);
