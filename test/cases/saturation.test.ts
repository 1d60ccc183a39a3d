/** Every method where f32 breaks first: beta 200, answers of one token, log-probs of -1e4, p = 1, logits of 1e4. */
import { describe, expect, it } from 'vitest';
import type { CasePair } from '../../src/cases/file.ts';
import { evaluateCase } from '../../src/cases/result.ts';
import { testGpu } from '../support/gpu.ts';
import { readFixture } from './golden.ts';
import { expectCase, type GoldenCase, named, numbers } from './golden-case.ts';

interface Batch {
  readonly name: string;
  readonly logits: boolean;
  readonly batch: { readonly pairs: CasePair[] };
  readonly cases: GoldenCase[];
}

const { batches } = readFixture<{ batches: Batch[] }>('torch/saturation.json');

describe.each(batches.filter((b) => b.logits).map((b) => [b.name, b] as const))('%s', (_, batch) => {
  it.each(named(batch.cases))('%s', async (_name, expected) => {
    const result = await evaluateCase(await testGpu(), batch.batch.pairs, expected);
    expect(numbers(Object.values(result).filter(Array.isArray)).every(Number.isFinite)).toBe(true);
    // KTO's KL of 2.4 is a mean of terms around 1e4.
    expectCase(result, expected, { kl: 1e-4 });
  });
});
