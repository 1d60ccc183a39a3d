/** The same steps on one and on three ranks. All methods, and 20 steps, are in steps.long.test.ts. */
import { it } from 'vitest';
import { hasMpi } from '../support/mpirun.ts';
import { expectSameRuns } from './same-steps.ts';

it.skipIf(!hasMpi())('losses, norms and weights on three ranks are those of one process', async () => {
  // A state that is a sum over micro-batches; draws, and a running mean over whole steps.
  await expectSameRuns(['epsilon-dpo', 'beta-dpo'], 3, 'short');
});
