/** What the page has without anything of the user's: three models, and scores made by web/make_assets.ts. */
import type { MethodChoice, PairText, ScoredPair, ScoredSide } from '../worker/protocol.ts';
import type { ModelEntry } from './library.ts';
import { sum } from './views.ts';

/** The form of scores.json: what the page shows before its engine is ready. */
export interface ShippedScores {
  readonly pairs: readonly PairText[];
  /** By model: the method it was trained with. */
  readonly methods: Readonly<Record<string, MethodChoice>>;
  /** By model, in the order of `pairs`. */
  readonly scores: Readonly<Record<string, readonly ScoredPair[]>>;
}

const bundled =
  (id: string, name: string, method: MethodChoice | undefined) =>
  (page: string): ModelEntry => ({
    kind: 'model',
    id,
    name,
    origin: 'bundled example',
    source: { kind: 'url', url: new URL(`./models/${id}`, page).href },
    method,
  });

/** The bundled models, for the address of the page. */
export const BUNDLED = [
  bundled('dpo-bmc', 'after DPO-BMC', { name: 'dpo', settings: { beta: 0.5 }, bmc: { delta: 2 } }),
  bundled('dpo', 'after DPO', { name: 'dpo', settings: { beta: 0.5 } }),
  bundled('reference', 'before training', { name: 'dpo', settings: { beta: 0.5 } }),
];

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
