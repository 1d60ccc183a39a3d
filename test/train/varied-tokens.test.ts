import { describe, expect, it } from 'vitest';
import type { PairExample } from '../../src/data/examples.ts';
import { RunPlan } from '../../src/train/run-plan.ts';
import { emptyBatchesLine, variedLine } from '../../src/train/varied-tokens.ts';
import { pairOf } from '../support/trainer.ts';

/** As truncation leaves a pair whose answers differ only past the longest length. */
const alike = (index: number): PairExample => pairOf([1], [5, 6], [5, 6], index);
const different = (index: number): PairExample => pairOf([1], [5, 6, 7, 8], [5, 9, 7, 8], index);

function planOf(examples: readonly PairExample[], stepSize: number): RunPlan {
  const shape = { tokens: 8, rows: 4, pairs: 1 };
  const limits = { stepSize, maxExamples: 8, maxTokens: 64 };
  return new RunPlan(examples.length, () => shape, { ...limits, epochs: 1, maxSteps: -1, seed: 1 });
}

describe('varied tokens', () => {
  it('are counted as a share of each answer', () => {
    expect(variedLine([different(0), alike(1)])).toBe(
      "Varied tokens: 12.5% of the answers' tokens on average.",
    );
  });

  it('are not spoken of where no method asked for them', () => {
    const { diff: _, ...plain } = different(0).chosen;
    expect(variedLine([{ ...different(0), chosen: plain, rejected: plain }])).toBeUndefined();
  });
});

describe('batches without a varied token', () => {
  it('are counted', () => {
    const examples = [alike(0), alike(1), alike(2), different(3)];
    expect(emptyBatchesLine(examples, planOf(examples, 1))).toMatch(/^Warning: 3 of 4 batches/);
    expect(emptyBatchesLine(examples, planOf(examples, 4))).toBeUndefined();
  });

  it('are none where every pair differs', () => {
    const examples = [different(0), different(1)];
    expect(emptyBatchesLine(examples, planOf(examples, 1))).toBeUndefined();
  });
});
