/** The operating system's errors as sentences with the path and what to do. */
import { InputError, RunError } from '../errors.ts';

/** Runs `action` on `path`. @throws RunError for a full disk, InputError for paths that are wrong or forbidden */
export async function guarded<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw describeFileError(path, error);
  }
}

/** The error to throw instead of `error`; itself when it is none of the usual ones. */
export function describeFileError(path: string, error: unknown): unknown {
  switch (codeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new RunError(`${path}: the disk is full. Free some space and run again with --resume.`);
    case 'EMFILE':
    case 'ENFILE':
      return new RunError(`${path}: too many open files. Raise the limit with "ulimit -n 4096".`);
    case 'ENOENT':
      return new InputError(
        `${path}: there is no such file or directory. Paths are relative to the directory you run in.`,
      );
    case 'ENOTDIR':
      return new InputError(`${path}: a part of this path is a file, not a directory.`);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new InputError(`${path}: not allowed. Check the permissions of the file and its directory.`);
    case 'EISDIR':
      return new InputError(`${path}: is a directory, but a file was expected.`);
    case 'EEXIST':
    case 'ENOTEMPTY':
      return new InputError(`${path}: is there already.`);
    default:
      return error;
  }
}

/** The code of a system error, such as 'ENOENT'. */
export function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
