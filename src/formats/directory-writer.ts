/**
 * Writes a directory so that it is there completely or not at all, whenever the process or the machine stops:
 * everything goes into `PATH.tmp` and to stable storage, then the directory takes its name in one rename.
 *
 * Leftovers are told by their suffix: `.tmp` half written; `.old` replaced, and put back when its successor did not
 * arrive; `.removed` on its way out. The caller must hold the lock of the directory above.
 */
import { InputError } from '../errors.ts';
import type { FileSink, FileSystem } from '../runtime/runtime.ts';
import { alreadyThere } from './atomic-file.ts';
import type { OutputFile } from './output-file.ts';

const TMP = '.tmp';
const OLD = '.old';
const REMOVED = '.removed';

/** Called before every file operation with its description. Tests stop the process in it. */
export type OperationHook = (operation: string) => void | Promise<void>;

/**
 * Writes `contents` as the directory `path`, replacing one that is there. A failure, such as a full disk, leaves what was there.
 * @param path - the directory above it must exist
 */
export async function writeDirectory(
  files: FileSystem,
  path: string,
  contents: readonly OutputFile[],
  before: OperationHook = () => {},
): Promise<void> {
  const tmp = path + TMP;
  await recoverDirectory(files, path, before);
  await before(`make ${tmp}`);
  await files.makeDirectory(tmp);
  try {
    for (const file of contents) await writeFile(files, `${tmp}/${file.name}`, file, before);
  } catch (error) {
    // Gives the space of a full disk back; the first error is the one that matters.
    await files.remove(tmp).catch(() => {});
    throw error;
  }
  const isReplacing = await files.exists(path);
  if (isReplacing) {
    await before(`rename ${path} to ${path + OLD}`);
    await files.rename(path, path + OLD);
  }
  await before(`rename ${tmp} to ${path}`);
  await files.rename(tmp, path);
  if (isReplacing) await discard(files, path + OLD, path + REMOVED, before);
}

/**
 * To be called before any work is done for a model that goes to `path`.
 * @throws InputError where something is there, and is not to be replaced or is no model
 */
export async function checkModelOutput(files: FileSystem, path: string, force: boolean): Promise<void> {
  if (!(await files.exists(path))) return;
  if (!force) throw alreadyThere(path);
  // Whatever else is in the directory would be gone too.
  const names = (await files.isDirectory(path)) ? await files.list(path) : undefined;
  const inner = await Promise.all((names ?? []).map((name) => files.isDirectory(`${path}/${name}`)));
  if (names === undefined || (names.length > 0 && !names.includes('config.json')) || inner.includes(true))
    throw new InputError(
      `${path}: is not the directory of a model, which --force would replace; name another one.`,
    );
}

async function writeFile(
  files: FileSystem,
  path: string,
  file: OutputFile,
  before: OperationHook,
): Promise<void> {
  await before(`create ${path}`);
  const sink = await files.create(path);
  const hooked: FileSink = {
    async write(bytes) {
      await before(`write to ${path}`);
      await sink.write(bytes);
    },
    close: async () => {},
  };
  try {
    await file.write(hooked);
  } catch (error) {
    await sink.close().catch(() => {});
    throw error;
  }
  await before(`close ${path}`);
  await sink.close();
}

/** Removes a directory so that a stop on the way never leaves a part of it under its own name. */
export function removeDirectory(
  files: FileSystem,
  path: string,
  before: OperationHook = () => {},
): Promise<void> {
  return discard(files, path, path + REMOVED, before);
}

async function discard(
  files: FileSystem,
  path: string,
  doomed: string,
  before: OperationHook,
): Promise<void> {
  await before(`rename ${path} to ${doomed}`);
  await files.remove(doomed);
  await files.rename(path, doomed);
  await before(`remove ${doomed}`);
  await files.remove(doomed);
}

/** Clears away what a stopped writer or remover of `path` left, and puts back what it had not yet replaced. */
export async function recoverDirectory(
  files: FileSystem,
  path: string,
  before: OperationHook = () => {},
): Promise<void> {
  for (const leftover of [path + TMP, path + REMOVED]) {
    if (!(await files.exists(leftover))) continue;
    await before(`remove ${leftover}`);
    await files.remove(leftover);
  }
  if (!(await files.exists(path + OLD))) return;
  if (await files.exists(path)) return discard(files, path + OLD, path + REMOVED, before);
  await before(`rename ${path + OLD} to ${path}`);
  await files.rename(path + OLD, path);
}

/** 'x.tmp', 'x.old' and 'x.removed' are leftovers of 'x'; other names belong to nobody here. */
export function leftoverOf(name: string): string | undefined {
  const suffix = [TMP, OLD, REMOVED].find((candidate) => name.endsWith(candidate));
  return suffix === undefined ? undefined : name.slice(0, -suffix.length);
}
