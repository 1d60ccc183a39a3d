/** Which GPU (or CPU driver) a user asks for. */
import { InputError } from '../errors.ts';
import { NoAdapterError } from './no-adapter.ts';

/** The value of PREFGRAD_DEVICE. @throws InputError where the variable still has its old name */
export function deviceOfEnvironment(env: Readonly<Record<string, string | undefined>>): string | undefined {
  if (env.PREFGRAD_ADAPTER) {
    throw new InputError(
      `The environment variable PREFGRAD_ADAPTER is called PREFGRAD_DEVICE now: PREFGRAD_DEVICE=${env.PREFGRAD_ADAPTER}.`,
    );
  }
  return env.PREFGRAD_DEVICE || undefined;
}

/** Is it a place in the list that "prefgrad doctor" prints? */
export function isIndex(device: string): boolean {
  return /^\d+$/.test(device);
}

/** The name at a place of the list of devices, counted from 0. */
export function deviceAt(names: readonly string[], index: string): string {
  const name = names[Number(index)];
  if (name !== undefined) return name;
  const list = names.map((known, i) => `${i} ${JSON.stringify(known)}`).join(', ');
  throw new NoAdapterError(`There is no device ${index}; this machine has ${list || 'none'}.`);
}
