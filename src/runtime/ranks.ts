/**
 * The ranks of a job: processes that `mpirun` started together, each with a device of its own, that take the same steps of the
 * same run. Every rank calls the same exchanges in the same order; a call returns when every rank has made it.
 */
import type { FileSystem, Runtime } from './runtime.ts';

export interface Ranks {
  /** This process among all, from 0. Rank 0 writes files and speaks to the user. */
  readonly rank: number;
  readonly size: number;
  /** This process among those of its machine. */
  readonly localRank: number;
  /** Where it runs: the name of the machine, and the device nodes of graphics cards that it may open. */
  readonly place: { readonly host: string; readonly cards: readonly string[] };
  /**
   * Writes the sums of `values` over all ranks to `sums`, of the same length: the same bits on every rank, and in every job of
   * as many ranks.
   * @throws RunError when the other ranks do not answer within the time limit
   */
  allReduceSum(values: Float32Array<ArrayBuffer>, sums: Float32Array<ArrayBuffer>): Promise<void>;
  /** What every rank gave, of any length each, in the order of ranks. @throws as `allReduceSum` */
  allGather(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>[]>;
  /** The same where every rank gives as many bytes: writes them to `all`, `size` times as long. @throws as `allReduceSum` */
  allGatherInto(bytes: Uint8Array<ArrayBuffer>, all: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Seconds that an exchange waits for the other ranks. */
  limitWaits(seconds: number): void;
}

/** A process of its own, which has nobody to exchange with. */
export const ONE_RANK: Ranks = {
  rank: 0,
  size: 1,
  localRank: 0,
  place: { host: '', cards: [] },
  allReduceSum: async (values, sums) => sums.set(values),
  allGather: async (bytes) => [bytes],
  allGatherInto: async (bytes, all) => all.set(bytes),
  limitWaits: () => {},
};

/** What every rank gave, in the order of ranks, as JSON carries it, and numbers that are not finite too. */
export async function gatherValues<T>(ranks: Ranks, value: T): Promise<T[]> {
  if (ranks.size === 1) return [value];
  const all = await ranks.allGather(new TextEncoder().encode(JSON.stringify({ value }, marked)));
  return all.map((bytes) => (JSON.parse(new TextDecoder().decode(bytes), unmarked) as { value: T }).value);
}

/** Begins the text that stands for a number that JSON does not have, and, twice, a text that begins with it by itself. */
const MARK = '\u0000';

function marked(_: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) return `${MARK}${value}`;
  return typeof value === 'string' && value.startsWith(MARK) ? MARK + value : value;
}

function unmarked(_: string, value: unknown): unknown {
  if (typeof value !== 'string' || !value.startsWith(MARK)) return value;
  const text = value.slice(MARK.length);
  return text.startsWith(MARK) ? text : Number(text);
}

/** What rank 0 makes, for every rank, as JSON carries it. */
export async function fromFirst<T>(ranks: Ranks, make: () => Promise<T>): Promise<T> {
  if (ranks.size === 1) return make();
  const [made] = await gatherValues(ranks, ranks.rank === 0 ? await make() : undefined);
  return made as T;
}

/** Whether any rank says so. */
export async function onAnyRank(ranks: Ranks, holds: boolean): Promise<boolean> {
  return (await gatherValues(ranks, holds)).some((one) => one);
}

/** Returns when every rank has come here. */
export async function barrier(ranks: Ranks): Promise<void> {
  if (ranks.size > 1) await ranks.allGather(new Uint8Array());
}

/** The runtime of one rank: files are written by rank 0 alone, so that a program is the same on all. */
export function withRanks(runtime: Runtime, ranks: Ranks): Runtime {
  const files = ranks.rank === 0 ? runtime.files : withoutWriting(runtime.files);
  return { ...runtime, ranks, files, apart: runtime };
}

/** Files that are read as they are, and never written. */
function withoutWriting(files: FileSystem): FileSystem {
  const sink = { write: async () => {}, close: async () => {} };
  return {
    open: (path) => files.open(path),
    readText: (path) => files.readText(path),
    exists: (path) => files.exists(path),
    isDirectory: (path) => files.isDirectory(path),
    list: (path) => files.list(path),
    outputTarget: (path) => files.outputTarget(path),
    create: async () => sink,
    append: async () => sink,
    makeDirectory: async () => {},
    rename: async () => {},
    remove: async () => {},
    lock: async () => async () => {},
  };
}
