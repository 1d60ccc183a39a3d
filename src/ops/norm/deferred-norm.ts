/**
 * Norms of a decoding step that products take into their own loads, where a dispatch costs more than that: CPU adapters and
 * small products. A norm is recorded only once a kernel wants its result from memory.
 */
import type { Launch } from '../../gpu/launch.ts';
import type { Slice, Storage } from '../../gpu/memory.ts';
import type { Recorder } from '../../gpu/program.ts';
import { sharesRows } from '../launch.ts';

/** What a norm is of. */
export interface NormInputs {
  /** f32 [T, K]. */
  readonly x: Slice;
  /** f32 [K]. */
  readonly w: Slice;
  readonly eps: number;
  readonly unitOffset: boolean;
}

/**
 * Largest product, in elements of its weights, that norms its rows itself. Every invocation does so again, which takes
 * lavapipe about 40 us of a product of this size; a dispatch takes it 15 to 30.
 */
const LARGEST_PRODUCT = 2 ** 16;

const norms = new WeakMap<Storage, NormInputs>();

export function defersNorms(recorder: Recorder): boolean {
  return recorder.hasFewRows && sharesRows(recorder);
}

/** Records `launch`, which writes y, only when something reads it. */
export function deferNorm(recorder: Recorder, y: Slice, inputs: NormInputs, launch: Launch): void {
  norms.set(y.storage, inputs);
  recorder.whenBound(y.storage, () => recorder.launch(launch));
}

/**
 * What a product binds in the place of its rows.
 * @param elements of the product's weights
 * @returns undefined where it reads the rows as they are
 */
export function normInto(rows: Slice, elements: number): NormInputs | undefined {
  return elements <= LARGEST_PRODUCT ? norms.get(rows.storage) : undefined;
}

/** Conditions and overrides of a kernel that takes the norm in. */
export function normVariant(norm: NormInputs | undefined) {
  return {
    conditions: { NORMED: norm !== undefined, UNIT_OFFSET: norm?.unitOffset === true },
    overrides: norm === undefined ? {} : { EPS: norm.eps },
  };
}
