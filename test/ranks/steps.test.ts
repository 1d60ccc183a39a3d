/** The same steps on one, two and three ranks. All methods, and 20 steps, are in steps.long.test.ts. */
import { describe, it } from 'vitest';
import { hasMpi } from '../support/mpirun.ts';
import { expectSameRuns } from './same-steps.ts';

/** Of which every third, the last of an epoch, has fewer rows than three ranks. */
const STEPS = 7;

describe.skipIf(!hasMpi())('losses, norms and weights are those of one process', () => {
  it.each([
    // A mean over the whole step; a state that is a sum over micro-batches.
    [2, ['kto', 'epsilon-dpo']],
    // Draws, and a running mean over whole steps.
    [3, ['beta-dpo']],
  ] as const)('on %i ranks with %s', async (ranks, methods) => {
    await expectSameRuns(methods, ranks, STEPS);
  });
});
