/** Few rows of every 16-bit type by every form, each of which takes a CPU adapter seconds to compile. */
import { afterEach, beforeEach, describe, it } from 'vitest';
import { testGpu } from '../support/gpu.ts';
import { expectWeightsOf, FORMS } from './few-rows.ts';

const gpu = await testGpu();

describe.each(FORMS)('few rows, by %ss', (by) => {
  beforeEach(() => {
    gpu.choices.rows = by;
  });
  afterEach(() => gpu.choices.clear());

  it.each(['f16', 'bf16'] as const)('take %s weights', expectWeightsOf);
});
