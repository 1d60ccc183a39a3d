/** What an earlier run left in the output directory: how a new one replaces it, and what becomes of a model that is trained on. */
import { InputError } from '../errors.ts';
import type { FileSystem } from '../runtime/runtime.ts';

/** Names of what a run writes, with what a stopped writer leaves of them. */
const OF_A_RUN =
  /^(model|previous-model|merged-base|checkpoint-\d+)(\.tmp|\.old|\.removed)?$|^(metrics\.jsonl|config\.yaml|run\.json|dropped_rows\.jsonl|eval_tasks|reference-cache|\.lock)$|^events\.out\.tfevents\./;

/** What the new run has made itself by the time that it replaces the earlier one, or can use again. */
const KEPT: readonly string[] = ['.lock', 'dropped_rows.jsonl', 'merged-base', 'reference-cache'];

/** Where the model of a run goes that is continued beyond its end. */
const PREVIOUS = 'previous-model';

/** @throws InputError where `directory` has something in it and no run */
export async function checkReplaceable(files: FileSystem, directory: string): Promise<void> {
  if (!(await files.exists(directory))) return;
  const names = (await files.isDirectory(directory)) ? await files.list(directory) : undefined;
  if (names?.includes('metrics.jsonl') || names?.every((name) => OF_A_RUN.test(name))) return;
  throw new InputError(
    `${directory} is not the directory of a run, which --force would replace; name another`,
  );
}

/** Removes what a run wrote, and nothing else. The caller holds the lock of the directory. */
export async function removeEarlierRun(files: FileSystem, directory: string): Promise<void> {
  for (const name of await files.list(directory))
    if (OF_A_RUN.test(name) && !KEPT.includes(name)) await files.remove(`${directory}/${name}`);
}

/**
 * Moves the model of a run that ended before and now goes on: a run is finished exactly when its model is there.
 * @param note told where it is
 */
export async function setModelAside(
  files: FileSystem,
  directory: string,
  note: (line: string) => void,
): Promise<void> {
  const [model, previous] = [`${directory}/model`, `${directory}/${PREVIOUS}`];
  if (!(await files.exists(model))) return;
  await files.remove(previous);
  await files.rename(model, previous);
  note(`The model that this run ended with before is in ${previous}.`);
}
