/** The record of a scored row: what `prefgrad score` writes as a line, and a page shows. */
import type { PairExample } from '../data/examples.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { ActiveObjective } from '../objectives/registry.ts';
import type { Vectors } from './pair-scorer.ts';

/** One answer; every array has an entry per response token, EOS included. */
export interface SideRecord {
  readonly token_ids: number[];
  readonly tokens: string[];
  readonly logps: number[];
  readonly ref_logps?: number[];
  /** 1 where the token differs from the other answer. */
  readonly diff: number[];
  /** BMC's lambda. */
  readonly weights?: number[];
  /** beta (logp - ref_logp), unweighted. */
  readonly rewards?: number[];
  /** Terms whose sum is the reward that the method logs. */
  readonly contributions?: number[];
}

export interface ScoreRecord {
  readonly prompt: { readonly token_ids: number[] };
  readonly chosen: SideRecord;
  readonly rejected: SideRecord;
  /** Difference of the summed rewards. */
  readonly margin?: number;
}

export interface RecordOptions {
  readonly objective: ActiveObjective;
  readonly showWeights: boolean;
  readonly showContributions: boolean;
}

/** Records of a batch, in order. */
export function scoreRecords(
  examples: readonly PairExample[],
  vectors: Vectors,
  tokenizer: Tokenizer,
  { objective, showWeights, showContributions }: RecordOptions,
): ScoreRecord[] {
  const beta = Number(objective.settings.beta ?? objective.settings.tau ?? 1);
  let row = 0;
  return examples.map((example) => {
    const side = ({ ids, diff }: PairExample['chosen']): SideRecord => {
      const [start, end] = [row, row + ids.length];
      row = end;
      const part = (vector: Float32Array | undefined) =>
        vector === undefined ? undefined : Array.from(vector.subarray(start, end));
      const [logps, refLogps] = [part(vectors.logps) ?? [], part(vectors.refLogps)];
      return {
        token_ids: Array.from(ids),
        tokens: Array.from(ids, (id) => tokenizer.tokenText(id)),
        logps,
        ref_logps: refLogps,
        diff: Array.from(diff ?? new Uint8Array(ids.length)),
        weights: showWeights ? part(vectors.weights) : undefined,
        rewards: refLogps?.map((ref, t) => beta * (logps[t] - ref)),
        contributions: showContributions ? part(vectors.contributions) : undefined,
      };
    };
    const chosen = side(example.chosen);
    const rejected = side(example.rejected);
    const sum = (values: readonly number[] | undefined) => values?.reduce((a, b) => a + b, 0) ?? 0;
    const margin = chosen.rewards === undefined ? undefined : sum(chosen.rewards) - sum(rejected.rewards);
    return { prompt: { token_ids: Array.from(example.promptIds) }, chosen, rejected, margin };
  });
}
