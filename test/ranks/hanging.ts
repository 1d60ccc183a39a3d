/**
 * One rank of a job in which rank 1 hangs between two exchanges:
 *
 *   mpirun -n 2 node --import tsx test/ranks/hanging.ts
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { jobOf } from '../../src/runtime/open-mpi.ts';
import { gatherValues } from '../../src/runtime/ranks.ts';

const job = jobOf(process.env);
job.limitWaits(2);
await gatherValues(job, 'both are here');
if (job.rank === 1) await sleep(60_000);
try {
  await gatherValues(job, 'still here');
} catch (error) {
  console.error((error as Error).message);
  job.abort(1);
}
