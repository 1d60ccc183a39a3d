/** The pairs of a case on one token axis, as host arrays. */
import { type DifferenceMethod, tokenDifferences } from '../data/differences.ts';
import type { CasePair } from './file.ts';

export interface CaseRows {
  readonly vocabulary: number;
  /** Logits [R, V], row by row. */
  readonly policy: Float32Array<ArrayBuffer>;
  readonly reference: Float32Array<ArrayBuffer>;
  readonly targets: Uint32Array<ArrayBuffer>;
  /** 1 where a token differs from the other answer. */
  readonly diff: Float32Array<ArrayBuffer>;
  /** First token and one past the last of each answer, [P, 2]. */
  readonly chosen: readonly number[];
  readonly rejected: readonly number[];
  /** KTO's mismatched answers; empty where the file has none. */
  readonly mismatched: readonly number[];
}

/** Per pair the chosen answer, the rejected one and, for KTO, one token that stands for the mismatched answer. */
export function caseRows(pairs: readonly CasePair[], method: DifferenceMethod): CaseRows {
  const vocabulary = pairs[0].policy_chosen_logits[0].length;
  const policy: number[][] = [];
  const reference: number[][] = [];
  const targets: number[] = [];
  const diff: number[] = [];
  const bounds = { chosen: [] as number[], rejected: [] as number[], mismatched: [] as number[] };
  for (const pair of pairs) {
    const masks = tokenDifferences(pair.rejected_ids, pair.chosen_ids, method);
    for (const side of ['chosen', 'rejected'] as const) {
      bounds[side].push(targets.length);
      policy.push(...pair[`policy_${side}_logits`]);
      reference.push(...pair[`ref_${side}_logits`]);
      targets.push(...pair[`${side}_ids`]);
      diff.push(...masks[side]);
      bounds[side].push(targets.length);
    }
    bounds.mismatched.push(targets.length);
    if (pair.policy_KL_logp !== undefined && pair.ref_KL_logp !== undefined) {
      policy.push(logitsWithLogp(pair.policy_KL_logp, vocabulary));
      reference.push(logitsWithLogp(pair.ref_KL_logp, vocabulary));
      targets.push(0);
      diff.push(0);
    }
    bounds.mismatched.push(targets.length);
  }
  return {
    vocabulary,
    policy: Float32Array.from(policy.flat()),
    reference: Float32Array.from(reference.flat()),
    targets: Uint32Array.from(targets),
    diff: Float32Array.from(diff),
    ...bounds,
  };
}

/**
 * Logits under which token 0 has a given log-prob, and token 1 nearly all the rest: the file gives KTO's mismatched
 * answers as sums only.
 */
function logitsWithLogp(logp: number, vocabulary: number): number[] {
  const other = Math.max(Math.log(-Math.expm1(logp)), -1e4);
  return [logp, other, ...new Array<number>(vocabulary - 2).fill(-3e4)];
}

/** Values on the token axis, cut into the answers of one side; rows of `width` values become arrays. */
export function perAnswer(
  segments: readonly number[],
  tokens: Float32Array,
  width = 1,
): (number | number[])[][] {
  return Array.from({ length: segments.length / 2 }, (_, p) => {
    const [start, end] = [segments[2 * p], segments[2 * p + 1]];
    return Array.from({ length: end - start }, (_, t) => {
      const row = Array.from(tokens.subarray((start + t) * width, (start + t + 1) * width));
      return width === 1 ? row[0] : row;
    });
  });
}
