import { InputError } from '../errors.ts';

/** @throws InputError unless [offset, offset + length) lies inside a file of `size` bytes. */
export function checkRange(name: string, size: number, offset: number, length: number): void {
  if (Number.isSafeInteger(offset) && offset >= 0 && length >= 0 && offset + length <= size) return;
  throw new InputError(
    `${name}: bytes ${offset} to ${offset + length} were asked for, but the file has ${size}.`,
  );
}
