/** Kernels that add up rows have two forms (kernels/shared/rows.wgsl); what holds for one must hold for the other. */
import { afterEach, beforeEach, describe } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';

/** Describes `tests` once with an invocation to each row and once with a workgroup, on all of `gpus`. */
export function inBothFormsOfRows(gpus: () => readonly Gpu[], tests: () => void): void {
  describe.each([
    ['an invocation', 'invocation'],
    ['a workgroup', 'workgroup'],
  ] as const)('with %s to each row', (_name, form) => {
    beforeEach(() => {
      for (const { choices } of gpus()) choices.rows = form;
    });
    afterEach(() => {
      for (const { choices } of gpus()) choices.clear();
    });
    tests();
  });
}
