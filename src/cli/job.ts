/**
 * The command line as one rank of a job that mpirun started: every rank runs the command, rank 0 speaks. A rank that fails ends
 * the whole job, with one message.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { InputError } from '../errors.ts';
import { deviceOfEnvironment } from '../runtime/device-choice.ts';
import { detectRuntime } from '../runtime/index.ts';
import { jobOf } from '../runtime/open-mpi.ts';
import { withRankDevices } from '../runtime/rank-device.ts';
import { withRanks } from '../runtime/ranks.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { EXIT } from './failure.ts';
import { processCli, runCli } from './program.ts';

/** Commands that deal their work out to the ranks. */
const DISTRIBUTED = [
  'train',
  'sweep',
  'score',
  'generate',
  'rollout',
  'own-output',
  'evaluate task',
  'doctor',
];

/** Milliseconds in which rank 0 tells of a failure that all ranks meet, before another one speaks. */
const FIRST_SPEAKS_MS = 3000;

/**
 * Runs one command line as one of several ranks. @returns the exit code
 * @param detect - what the machine is to this process
 */
export async function runRank(
  args: readonly string[],
  env = process.env,
  detect = detectRuntime,
): Promise<number> {
  const job = jobOf(env);
  const isFirst = job.rank === 0;
  /** Of a rank that may not speak yet. */
  let withheld = '';
  const own = processCli();
  const runtime = async (): Promise<Runtime> => {
    const note = isFirst ? own.err : () => {};
    const ranked = withRanks(await detect((text) => note(`${text}\n`)), job);
    return withRankDevices(ranked, deviceOfEnvironment(env));
  };
  const cli = {
    ...own,
    runtime,
    begin(command: string) {
      if (!DISTRIBUTED.includes(command))
        throw new InputError(
          `prefgrad ${command} is one process: start it without mpirun. Several ranks share ${DISTRIBUTED.join(', ')}.`,
        );
    },
    errOfRank: own.err,
    out: isFirst ? own.out : () => {},
    err: isFirst
      ? own.err
      : (text: string) => {
          withheld = text;
        },
    terminal: isFirst ? own.terminal : undefined,
  };
  const code = await runCli(args, cli);
  // Not an error: every rank has come to its end, some with bad rows.
  if (code === cli.exitCode) {
    await job.finish();
    return isFirst ? code : EXIT.done;
  }
  if (!isFirst) {
    await sleep(FIRST_SPEAKS_MS);
    own.err(`rank ${job.rank} on ${job.place.host}: ${withheld}`);
  }
  job.abort(code);
  return code;
}
