/** Every method on one, two and three ranks. */
import { describe, it } from 'vitest';
import { objectives } from '../../src/objectives/registry.ts';
import { hasMpi } from '../support/mpirun.ts';
import { expectSameRuns } from './same-steps.ts';

describe.skipIf(!hasMpi())('over 20 steps every method gives what one process gives', () => {
  it.each([2, 3])('on %i ranks', async (ranks) => {
    await expectSameRuns(
      objectives.map(({ name }) => name),
      ranks,
      20,
    );
  });
});
