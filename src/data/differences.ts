/**
 * The two ways of finding the tokens in which a pair's answers differ.
 */

import { type DifferenceMasks, levenshteinMasks } from './levenshtein.ts';
import { difflibMasks } from './sequence-matcher.ts';

export type { DifferenceMasks } from './levenshtein.ts';

/** 'levenshtein': BMC's paper. 'difflib': its released code, without the stop words. */
export type DifferenceMethod = 'levenshtein' | 'difflib';

/** Masks over response token ids: 1 where a token differs from the other answer. */
export function tokenDifferences(
  rejected: ArrayLike<number>,
  chosen: ArrayLike<number>,
  method: DifferenceMethod,
): DifferenceMasks {
  return method === 'levenshtein' ? levenshteinMasks(rejected, chosen) : difflibMasks(rejected, chosen);
}
