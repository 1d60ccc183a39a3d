/**
 * prefgrad as one rank of a job whose rank 1 loses its device once FILE is there:
 *
 *   mpirun -n 2 node --import tsx test/ranks/losing.ts FILE train CONFIG.yaml
 */
import { existsSync } from 'node:fs';
import { runRank } from '../../src/cli/job.ts';
import { detectRuntime } from '../../src/runtime/index.ts';
import { startedRank } from '../../src/runtime/launcher.ts';
import { losing } from '../support/lost-device.ts';

const [file, ...args] = process.argv.slice(2);
const isLoser = startedRank(process.env) === 1;
process.exitCode = await runRank(args, process.env, async (note) =>
  losing(await detectRuntime(note), () => isLoser && existsSync(file)),
);
