/** How much of the answers differs, which is what token weights weigh. */
import type { Example } from '../data/examples.ts';
import type { RunPlan } from './run-plan.ts';

/** The mean share of varied tokens over all answers, as a line; undefined where differences are not known. */
export function variedLine(examples: readonly Example[]): string | undefined {
  const masks = examples.flatMap((e) => (e.kind === 'pair' ? [e.chosen.diff, e.rejected.diff] : []));
  if (masks.length === 0 || masks.includes(undefined)) return undefined;
  const mean = masks.reduce((sum, mask) => sum + shareOf(mask), 0) / masks.length;
  return `Varied tokens: ${(100 * mean).toFixed(1)}% of the answers' tokens on average.`;
}

/** A warning where whole batches have no varied token (truncation may cut them all off): their token weights are 1. */
export function emptyBatchesLine(examples: readonly Example[], plan: RunPlan): string | undefined {
  const isEmpty = examples.map(
    (e) => e.kind === 'pair' && [e.chosen, e.rejected].every((answer) => shareOf(answer.diff) === 0),
  );
  if (!isEmpty.includes(true)) return undefined;
  let batches = 0;
  for (let step = 0; step < plan.totalSteps; step++)
    if (plan.examplesOf(step).every((i) => isEmpty[i])) batches++;
  if (batches === 0) return undefined;
  return `Warning: ${batches} of ${plan.totalSteps} batches have no varied token; all token weights are 1 there.`;
}

function shareOf(mask: Uint8Array | undefined): number {
  if (mask === undefined) return Number.NaN;
  return mask.reduce((sum, differs) => sum + differs, 0) / mask.length;
}
