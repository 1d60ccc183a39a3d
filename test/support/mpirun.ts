/** Starts several ranks on this machine, which is not made for them: all on one CPU, as root where tests are. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const MPIRUN = ['/usr/bin/mpirun', '/opt/homebrew/bin/mpirun'].find((path) => existsSync(path));

/** @throws Error where Open MPI is missing although PREFGRAD_REQUIRE names it, as in .ci/run. */
export function hasMpi(): boolean {
  if (MPIRUN !== undefined) return true;
  if ((process.env.PREFGRAD_REQUIRE ?? '').split(',').includes('mpi'))
    throw new Error(
      'Open MPI is missing here, but PREFGRAD_REQUIRE names it; "npm run setup -- --with-mpi".',
    );
  return false;
}

/** The command that starts so many ranks of `node`, to be followed by its arguments. */
export function mpirunCommand(ranks: number): [string, ...string[]] {
  const args = ['--allow-run-as-root', '--oversubscribe', '--bind-to', 'none', '-n', String(ranks)];
  return [MPIRUN ?? 'mpirun', ...args, process.execPath];
}

/** One core to each rank, so that ranks of a CPU adapter do not fight for all. */
export const RANK_ENV = { ...process.env, LP_NUM_THREADS: '1' };

export interface RankedRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `node ARGS` on so many ranks to its end. */
export function mpirun(ranks: number, args: readonly string[]): RankedRun {
  const [program, ...launch] = mpirunCommand(ranks);
  const { status, stdout, stderr } = spawnSync(program, [...launch, ...args], {
    encoding: 'utf8',
    env: RANK_ENV,
    maxBuffer: 2 ** 28,
  });
  return { code: status, stdout, stderr };
}
