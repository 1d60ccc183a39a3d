/** The known name that a mistyped one is closest to, by edit distance. */
import { distance } from 'fastest-levenshtein';

export function nearest(name: string, known: readonly string[]): string {
  return [...known].sort((a, b) => distance(name, a) - distance(name, b))[0] ?? '';
}
