/** The form of scores.json: what the page shows before its engine is ready. Made by web/make_assets.ts. */
import type { MethodChoice, PairText, ScoredPair } from '../worker/protocol.ts';

export interface ShippedScores {
  readonly pairs: readonly PairText[];
  /** By model slot: the method it was trained with. */
  readonly methods: Readonly<Record<string, MethodChoice>>;
  /** By model slot, in the order of `pairs`. */
  readonly scores: Readonly<Record<string, readonly ScoredPair[]>>;
}
