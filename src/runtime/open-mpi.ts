/**
 * Ranks on Open MPI, the library that `mpirun` and clusters bring, called through koffi. Nothing here is loaded unless this
 * process was started as one of several.
 *
 * What was found with Open MPI 4.1:
 *  - Exchanges run on a worker thread of koffi, so that the event loop stays free; they are queued, one at a time. While one
 *    waits, the main thread may still abort the job, which needs MPI_THREAD_MULTIPLE.
 *  - A process must end through MPI_Finalize and a plain exit; unloading the library crashes.
 *  - Which algorithm MPI_Allreduce takes depends on the length and on the number of ranks (and where they run), never on
 *    timing, and every element is added up in one order for all ranks. So sums are the same bits on every rank and in every job of as many.
 */
import * as fs from 'node:fs';
import { hostname } from 'node:os';
import { promisify } from 'node:util';
import PQueue from 'p-queue';
import { InputError, RunError } from '../errors.ts';
import { type Environment, localRank, startedRank, startedRanks } from './launcher.ts';
import type { Ranks } from './ranks.ts';

/** What starts and ends with the job. */
export interface Job extends Ranks {
  /** Waits for all ranks and leaves MPI; the process may then exit. */
  finish(): Promise<void>;
  /** Ends every rank at once, with this exit code. */
  abort(code: number): void;
}

/** Open MPI 4 and 5 on Linux, then on macOS; PREFGRAD_MPI_LIBRARY names another. */
const LIBRARIES = ['libmpi.so.40', 'libmpi.so', 'libmpi.40.dylib', '/opt/homebrew/lib/libmpi.dylib'];

const INSTALL = 'apt-get install -y openmpi-bin';

/** Of one exchange: a count of MPI is an int. */
const MOST_ELEMENTS = 2 ** 31 - 1;

const DEFAULT_LIMIT_SECONDS = 1800;

const MPI_THREAD_MULTIPLE = 3;

/**
 * The job that this process was started in. Its rank is known at once; it joins the others, and loads MPI, with the first
 * exchange, so that what all of them find wrong before that needs no MPI.
 */
export function jobOf(env: Environment): Job {
  const size = startedRanks(env);
  const queue = new PQueue({ concurrency: 1 });
  let limitSeconds = DEFAULT_LIMIT_SECONDS;
  let joined: Promise<Mpi> | undefined;
  let mpi: Mpi | undefined;
  /** Runs one exchange after those before it. @throws InputError where Open MPI is missing, RunError as `Ranks` */
  const exchange = (name: string, start: (mpi: Mpi) => Promise<number>) =>
    queue.add(async () => {
      joined ??= join(size, env);
      mpi = await joined;
      check(name, await withLimit(start(mpi), limitSeconds));
    });
  return {
    rank: startedRank(env),
    size,
    localRank: localRank(env),
    place: { host: hostname(), cards: openCards() },
    async allReduceSum(values, sums) {
      if (values.length > MOST_ELEMENTS) throw new RangeError(`${values.length} values in one exchange.`);
      await exchange('MPI_Allreduce', ({ allReduce, float, sum, world }) =>
        promisify(allReduce.async)(values, sums, values.length, float, sum, world),
      );
    },
    async allGather(bytes) {
      const lengths = new Int32Array(size);
      const own = Int32Array.of(bytes.length);
      await exchange('MPI_Allgather', ({ allGather, int, world }) =>
        promisify(allGather.async)(own, 1, int, lengths, 1, int, world),
      );
      const starts = new Int32Array(size);
      for (let i = 1; i < size; i++) starts[i] = starts[i - 1] + lengths[i - 1];
      const all = new Uint8Array(starts[size - 1] + lengths[size - 1]);
      await exchange('MPI_Allgatherv', ({ allGatherV, byte, world }) =>
        promisify(allGatherV.async)(bytes, bytes.length, byte, all, lengths, starts, byte, world),
      );
      return Array.from(lengths, (length, i) => all.slice(starts[i], starts[i] + length));
    },
    async allGatherInto(bytes, all) {
      await exchange('MPI_Allgather', ({ allGather, byte, world }) =>
        promisify(allGather.async)(bytes, bytes.length, byte, all, bytes.length, byte, world),
      );
    },
    limitWaits(seconds) {
      limitSeconds = seconds;
    },
    async finish() {
      await queue.onIdle();
      if (mpi !== undefined) await promisify(mpi.finalize.async)();
    },
    abort: (code) => void mpi?.abort(mpi.world, code),
  };
}

type Mpi = Awaited<ReturnType<typeof load>>;

/** @throws InputError where Open MPI is missing, or its threads, or it counts other ranks than the launcher said */
async function join(size: number, env: Environment): Promise<Mpi> {
  const mpi = await load(env);
  const [provided, found] = [[0], [0]];
  check('MPI_Init_thread', mpi.init(null, null, MPI_THREAD_MULTIPLE, provided));
  if (provided[0] < MPI_THREAD_MULTIPLE)
    throw new InputError(
      'This Open MPI was built without threads (MPI_THREAD_MULTIPLE), which prefgrad needs; that of Debian and Ubuntu has ' +
        `them: ${INSTALL}`,
    );
  check('MPI_Comm_size', mpi.size(mpi.world, found));
  if (found[0] !== size)
    throw new InputError(
      `The launcher started ${size} processes, but Open MPI finds ${found[0]}: they are not of one installation. With Slurm, ` +
        'start them with srun --mpi=pmix; else with the mpirun that came with this library.',
    );
  return mpi;
}

/** The name under which the library is found here. */
export async function mpiLibrary(env: Environment): Promise<string | undefined> {
  return (await open(env).catch(() => undefined))?.name;
}

/** @throws InputError with the command that installs what is missing */
async function open(env: Environment) {
  const koffi = await import('koffi').catch(() => {
    // It has no binary for some platforms, and may be left out of an installation.
    throw new InputError(
      'This is one of several ranks, which need the package koffi. Install it: npm install koffi',
    );
  });
  const { PREFGRAD_MPI_LIBRARY: named } = env;
  const names = named ? [named] : LIBRARIES;
  for (const name of names) {
    try {
      // Global: Open MPI's plugins look for its symbols.
      return { name, library: koffi.load(name, { global: true }) };
    } catch {
      // The next name.
    }
  }
  throw new InputError(
    `This is one of several ranks, and Open MPI's library (${names[0]}) is missing here. Install it: ${INSTALL}`,
  );
}

/** @throws InputError as `open` */
async function load(env: Environment) {
  const { library } = await open(env);
  return {
    init: library.func('int MPI_Init_thread(int *argc, char ***argv, int required, _Out_ int *provided)'),
    size: library.func('int MPI_Comm_size(void *comm, _Out_ int *size)'),
    allReduce: library.func(
      'int MPI_Allreduce(void *send, void *recv, int count, void *type, void *op, void *comm)',
    ),
    allGather: library.func(
      'int MPI_Allgather(void *send, int n, void *type, void *recv, int each, void *recvtype, void *comm)',
    ),
    allGatherV: library.func(
      'int MPI_Allgatherv(void *send, int n, void *type, void *recv, void *counts, void *starts, void *recvtype, void *comm)',
    ),
    finalize: library.func('int MPI_Finalize()'),
    abort: library.func('int MPI_Abort(void *comm, int code)'),
    world: library.symbol('ompi_mpi_comm_world'),
    float: library.symbol('ompi_mpi_float'),
    int: library.symbol('ompi_mpi_int'),
    byte: library.symbol('ompi_mpi_byte'),
    sum: library.symbol('ompi_mpi_op_sum'),
  };
}

function check(name: string, code: number): void {
  if (code !== 0) throw new RunError(`${name} failed with error ${code}.`);
}

/** @throws RunError when the other ranks do not come within the limit */
async function withLimit(exchange: Promise<number>, seconds: number): Promise<number> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const hangs = () =>
      reject(
        new RunError(
          `The other ranks did not answer for ${seconds} s (training.ddp_timeout): one of them hangs, or is much slower. ` +
            'The run ends; continue it from its last checkpoint with --resume.',
        ),
      );
    timer = setTimeout(hangs, Math.min(1000 * seconds, 2 ** 31 - 1));
  });
  try {
    return await Promise.race([exchange, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Device nodes of graphics cards that this process may open, by their numbers, which a container does not change. Where there
 * are nodes of NVIDIA's driver they alone count: what isolates its cards often leaves /dev/dri as it is.
 */
function openCards(): string[] {
  const nvidia = openNodes('/dev', /^nvidia\d+$/);
  return nvidia.length > 0 ? nvidia : openNodes('/dev/dri', /^renderD\d+$/);
}

function openNodes(folder: string, name: RegExp): string[] {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder)
    .filter((file) => name.test(file))
    .flatMap((file) => {
      try {
        const node = fs.openSync(`${folder}/${file}`, 'r+');
        const { rdev } = fs.fstatSync(node);
        fs.closeSync(node);
        return [`${folder}:${rdev}`];
      } catch {
        // It is there and not allowed: another rank's.
        return [];
      }
    });
}
