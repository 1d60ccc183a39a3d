/** A task by its name, or from a file. */
import { InputError } from '../../errors.ts';
import type { FileSystem } from '../../runtime/runtime.ts';
import { parseCustomTask } from './custom.ts';
import { tasks } from './registry.ts';
import type { Task } from './task.ts';

/** How whoever asks calls what it was given, for messages: '--task' and '--task-file' of a command. */
export interface TaskKeys {
  readonly task: string;
  readonly file: string;
}

/** @throws InputError for a task that there is not, or custom without a file; InputErrors for a file that is wrong */
export async function namedTask(
  files: FileSystem,
  name: string,
  file: string | undefined,
  keys: TaskKeys,
): Promise<Task> {
  if (name === 'custom') {
    if (file === undefined) throw new InputError(`The task custom needs ${keys.file}.`);
    return parseCustomTask(await files.readText(file), file);
  }
  const found = tasks.find(name);
  if (found === undefined) throw new InputError(`${keys.task}: ${tasks.unknown(name)}, custom`);
  return found;
}
