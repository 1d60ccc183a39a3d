/** The known name that a mistyped one is closest to, by edit distance. */
import { distance } from 'fastest-levenshtein';

export function nearest(name: string, known: readonly string[]): string {
  // 'DPO' is dpo, not sft.
  const edits = (candidate: string) => distance(name.toLowerCase(), candidate.toLowerCase());
  return [...known].sort((a, b) => edits(a) - edits(b))[0] ?? '';
}
