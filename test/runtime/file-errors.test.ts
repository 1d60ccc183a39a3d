import { expect, it } from 'vitest';
import { InputError, RunError } from '../../src/errors.ts';
import { describeFileError, guarded } from '../../src/runtime/file-errors.ts';

const systemError = (code: string) => Object.assign(new Error(code), { code });

it.each([
  ['ENOSPC', RunError, 'disk is full'],
  ['EDQUOT', RunError, 'disk is full'],
  ['EMFILE', RunError, 'ulimit'],
  ['EACCES', InputError, 'permissions'],
  ['EPERM', InputError, 'permissions'],
  ['EROFS', InputError, 'only read'],
  ['ELOOP', InputError, 'circle'],
  ['ENAMETOOLONG', InputError, 'too long'],
  ['ERR_FS_FILE_TOO_LARGE', InputError, 'too large'],
  ['ERR_FS_EISDIR', InputError, 'a directory'],
  ['EIO', RunError, 'failed to read'],
  ['ENOENT', InputError, 'no such file'],
  ['EISDIR', InputError, 'a directory'],
])('%s becomes a sentence with the path', (code, kind, text) => {
  const error = describeFileError('/runs/x', systemError(code));
  expect(error).toBeInstanceOf(kind);
  expect(String(error)).toContain('/runs/x: ');
  expect(String(error)).toContain(text);
});

it('leaves errors alone that it does not know', async () => {
  const error = new Error('something else');
  await expect(guarded('/x', () => Promise.reject(error))).rejects.toBe(error);
});
