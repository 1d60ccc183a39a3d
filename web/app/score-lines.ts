/** Lines of `prefgrad score` as the page shows them. */
import type { PairText, ScoredPair, ScoredSide } from '../worker/protocol.ts';

type ScoreSide = Omit<ScoredSide, 'cut'> & { readonly text?: string };

/** A line of `prefgrad score`. */
interface ScoreLine {
  readonly prompt: { readonly token_ids: number[]; readonly tokens?: string[]; readonly text?: string };
  readonly chosen: ScoreSide;
  readonly rejected: ScoreSide;
  readonly margin?: number;
  readonly loss?: number;
}

export function isScored(line: unknown): line is ScoreLine {
  return (
    typeof line === 'object' &&
    line !== null &&
    'chosen' in line &&
    typeof line.chosen === 'object' &&
    line.chosen !== null &&
    'token_ids' in line.chosen
  );
}

/** The pair as text. */
export function textsOf({ prompt, chosen, rejected }: ScoreLine): PairText {
  return {
    prompt: prompt.text ?? prompt.tokens?.join('') ?? '',
    ...(prompt.text === undefined ? { promptIds: prompt.token_ids } : {}),
    chosen: chosen.text ?? chosen.tokens.join(''),
    rejected: rejected.text ?? rejected.tokens.join(''),
  };
}

/** What the file says, unchanged; the sums are of its own terms. */
export function scoredOf({ prompt, chosen, rejected, loss }: ScoreLine): ScoredPair {
  const terms = ({ contributions, rewards }: ScoreSide) =>
    (contributions ?? rewards ?? []).reduce((a, b) => a + b, 0);
  const sums = { chosen: terms(chosen), rejected: terms(rejected) };
  const side = (scored: ScoreSide): ScoredSide => ({
    ...scored,
    contributions: scored.contributions ?? scored.rewards,
    cut: [],
  });
  return {
    prompt: { token_ids: prompt.token_ids, tokens: prompt.tokens ?? [] },
    chosen: side(chosen),
    rejected: side(rejected),
    sums,
    margin: sums.chosen - sums.rejected,
    loss,
  };
}
