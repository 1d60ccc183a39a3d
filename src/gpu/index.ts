/** The entry of gpu/ for those outside of src: a device, and programs of dispatches on it. */
export type { ProductVariant } from './choices.ts';
export { bufferOf, Gpu } from './device.ts';
export { formatBytes } from './memory.ts';
export type { MatrixProfile } from './profile.ts';
export { type Dispatch, type Part, Program, Recorder } from './program.ts';
export { PIECE_BYTES } from './staging.ts';
