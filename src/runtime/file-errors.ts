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
    case 'EFBIG':
      return new RunError(`${path}: grows beyond what the file system, or "ulimit -f", allows.`);
    case 'EPIPE':
      return new RunError(`${path}: whoever read it has gone; what is left was not written.`);
    case 'EIO':
      return new RunError(`${path}: the device failed to read or write. Check the disk.`);
    case 'EMFILE':
    case 'ENFILE':
      return new RunError(`${path}: too many open files. Raise the limit with "ulimit -n 4096".`);
    case 'ENOENT':
      return new InputError(
        `${path}: there is no such file or directory. Paths are relative to the directory you run in.`,
      );
    case 'ENOTDIR':
      return new InputError(`${path}: a part of this path is a file, not a directory.`);
    case 'EROFS':
      return new InputError(`${path}: lies on a file system that is only read. Choose another directory.`);
    case 'ELOOP':
      return new InputError(`${path}: its symbolic links lead in a circle.`);
    case 'ENAMETOOLONG':
      return new InputError(`${path.slice(0, 60)}: the name is too long for this file system.`);
    case 'ERR_INVALID_ARG_VALUE':
      return new InputError(`${JSON.stringify(path)}: is no path; it holds a NUL character.`);
    case 'ERR_FS_FILE_TOO_LARGE':
    case 'ERR_STRING_TOO_LONG':
      return new InputError(`${path}: is too large to be read as one text.`);
    case 'EACCES':
    case 'EPERM':
      return new InputError(`${path}: not allowed. Check the permissions of the file and its directory.`);
    case 'EISDIR':
    case 'ERR_FS_EISDIR':
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
