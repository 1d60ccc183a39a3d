/**
 * How far two texts are apart, in words: numbers, words, and single characters of scripts without spaces and of
 * punctuation. White space does not count.
 */
import { levenshteinMasks } from '../data/levenshtein.ts';

const WORD =
  /\p{N}+(?:[.,]\p{N}+)*|[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]|[\p{L}\p{M}]+(?:['’]\p{L}+)*|\S/gu;

export function words(text: string): string[] {
  return text.match(WORD) ?? [];
}

export interface WordDistance {
  /** Words to be inserted, deleted or replaced. */
  readonly edits: number;
  /** The same as a share of the longer text's words: 0 equal, 1 nothing in common. */
  readonly share: number;
}

export function wordDistance(a: string, b: string): WordDistance {
  const [left, right] = [words(a), words(b)];
  const ids = new Map<string, number>();
  const number = (word: string) => {
    const id = ids.get(word) ?? ids.size;
    ids.set(word, id);
    return id;
  };
  const edits = levenshteinMasks(left.map(number), right.map(number)).distance;
  return { edits, share: edits === 0 ? 0 : edits / Math.max(left.length, right.length) };
}
