import { InputError } from '../errors.ts';

/** The machine offers no WebGPU adapter, or not the one asked for; the message says how to get one. */
export class NoAdapterError extends InputError {
  override name = 'NoAdapterError';
}
