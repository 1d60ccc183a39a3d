/** What a scored pair says about the row of the list; the same numbers as the engine's. */
import type { PairStatistics, ScoredPair, ScoredSide } from '../worker/protocol.ts';
import { sum } from './views.ts';

/** undefined without the reference's log-probs. */
export function statisticsOf(index: number, { chosen, rejected }: ScoredPair): PairStatistics | undefined {
  if (chosen.ref_logps === undefined || rejected.ref_logps === undefined) return undefined;
  const own = sum(chosen.logps) - sum(rejected.logps);
  const reference = sum(chosen.ref_logps) - sum(rejected.ref_logps);
  return {
    index,
    margin: own - reference,
    K: sum(chosen.ref_logps) / chosen.ref_logps.length - sum(rejected.ref_logps) / rejected.ref_logps.length,
    step: undefined,
    flipped: own > 0 !== reference > 0,
    spans: { chosen: surprises(chosen), rejected: surprises(rejected) },
  };
}

/** -log p of varied tokens, span by span. */
function surprises({ logps, diff }: ScoredSide): number[][] {
  const spans: number[][] = [];
  diff.forEach((differs, t) => {
    if (differs === 0) return;
    if (t === 0 || diff[t - 1] === 0) spans.push([]);
    spans[spans.length - 1].push(-logps[t]);
  });
  return spans;
}
