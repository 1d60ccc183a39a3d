/** Checkpoints: directories `checkpoint-STEP` in the output directory, each complete or absent. */
import type { FileSystem } from '../runtime/runtime.ts';
import {
  leftoverOf,
  type OperationHook,
  recoverDirectory,
  removeDirectory,
  writeDirectory,
} from './directory-writer.ts';
import type { OutputFile } from './output-file.ts';

export interface Checkpoint {
  readonly step: number;
  readonly path: string;
}

/** `checkpoint-STEP` and nothing else: 'checkpoint-10.tmp' is none. */
const NAME = /^checkpoint-(0|[1-9]\d*)$/;

export function checkpointPath(directory: string, step: number): string {
  return `${directory}/checkpoint-${step}`;
}

/** Writes the checkpoint of `step`; returns its path. One that is there is replaced. The caller holds the directory's lock. */
export async function saveCheckpoint(
  files: FileSystem,
  directory: string,
  step: number,
  contents: readonly OutputFile[],
  before?: OperationHook,
): Promise<string> {
  const path = checkpointPath(directory, step);
  await writeDirectory(files, path, contents, before);
  return path;
}

/** All complete checkpoints, oldest first. Empty when the directory does not exist. */
export async function listCheckpoints(files: FileSystem, directory: string): Promise<Checkpoint[]> {
  if (!(await files.isDirectory(directory))) return [];
  const found: Checkpoint[] = [];
  for (const name of await files.list(directory)) {
    const match = NAME.exec(name);
    if (match !== null && (await files.isDirectory(`${directory}/${name}`)))
      found.push({ step: Number(match[1]), path: `${directory}/${name}` });
  }
  return found.sort((a, b) => a.step - b.step);
}

/** The newest checkpoint, after clearing away what a killed run left half written. The caller holds the directory's lock. */
export async function latestCheckpoint(
  files: FileSystem,
  directory: string,
): Promise<Checkpoint | undefined> {
  if (!(await files.isDirectory(directory))) return undefined;
  const stems = (await files.list(directory)).map(leftoverOf).filter((stem) => stem !== undefined);
  for (const stem of new Set(stems))
    if (NAME.test(stem)) await recoverDirectory(files, `${directory}/${stem}`);
  return (await listCheckpoints(files, directory)).at(-1);
}

/**
 * Removes the oldest checkpoints until `limit` are left (TRL's `save_total_limit`).
 * @param keep - path of one that stays in any case, such as the best
 */
export async function rotateCheckpoints(
  files: FileSystem,
  directory: string,
  limit: number,
  keep?: string,
  before?: OperationHook,
): Promise<void> {
  if (!(limit >= 1)) throw new RangeError(`A limit of ${limit} checkpoints leaves nothing to resume from.`);
  const all = await listCheckpoints(files, directory);
  const candidates = all.slice(0, -1).filter(({ path }) => path !== keep);
  for (const { path } of candidates.slice(0, Math.max(0, all.length - limit)))
    await removeDirectory(files, path, before);
}
