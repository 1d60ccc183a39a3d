/** PREFGRAD_PROFILE, in Node and Deno: whose forms of kernels to use. */
import { InputError } from '../errors.ts';

/** @throws InputError for a value that means nothing */
export function profileVariable(): 'auto' | 'gpu' {
  const value = process.env.PREFGRAD_PROFILE || 'auto';
  if (value !== 'auto' && value !== 'gpu')
    throw new InputError(
      `PREFGRAD_PROFILE is ${value}. It may be auto, or gpu for the kernels that GPUs take.`,
    );
  return value;
}
