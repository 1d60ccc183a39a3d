/** Scores that come with the page, made by scripts/page-assets.ts. */
import type { MethodChoice, PairText, ScoredPair, ScoredSide } from '../worker/protocol.ts';
import { sum } from './views.ts';

/** The form of scores.json: what the page shows before its engine is ready. */
export interface ShippedScores {
  readonly pairs: readonly PairText[];
  /** By model: the method it was trained with. */
  readonly methods: Readonly<Record<string, MethodChoice>>;
  /** By model, in the order of `pairs`. */
  readonly scores: Readonly<Record<string, readonly ScoredPair[]>>;
}

/** Puts the terms of the reward back, which scores.json leaves out: contribution = λ β (log p − log p_ref). */
export function expandScores({ pairs, methods, scores }: ShippedScores): ShippedScores {
  const expanded = Object.entries(scores).map(([model, list]) => {
    const beta = Number(methods[model].settings.beta);
    const side = (scored: ScoredSide): ScoredSide => {
      const { logps, ref_logps = logps, weights } = scored;
      const rewards = logps.map((logp, t) => beta * (logp - ref_logps[t]));
      return { ...scored, rewards, contributions: rewards.map((reward, t) => reward * (weights?.[t] ?? 1)) };
    };
    const pair = (scored: ScoredPair): ScoredPair => {
      const [chosen, rejected] = [side(scored.chosen), side(scored.rejected)];
      const sums = { chosen: sum(chosen.contributions), rejected: sum(rejected.contributions) };
      return { ...scored, chosen, rejected, sums, margin: sums.chosen - sums.rejected };
    };
    return [model, list.map(pair)] as const;
  });
  return { pairs, methods, scores: Object.fromEntries(expanded) };
}
