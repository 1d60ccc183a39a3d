/**
 * Which tokens differ between two answers, as Python's difflib.SequenceMatcher(None, rejected, chosen) finds it; the
 * released code of BMC uses it.
 */

import type { DifferenceMasks } from './levenshtein.ts';

interface Block {
  readonly a: number;
  readonly b: number;
  readonly size: number;
}

/**
 * Masks with 1 on every token outside the matching blocks: the longest common run is a block, and so are, recursively,
 * the longest ones on its left and on its right. With `autojunk` (Python's default), tokens that make up more than 1%
 * of a chosen answer of at least 200 tokens start no block.
 */
export function difflibMasks(
  rejected: ArrayLike<number>,
  chosen: ArrayLike<number>,
  autojunk = true,
): DifferenceMasks {
  const masks = {
    rejected: new Uint8Array(rejected.length).fill(1),
    chosen: new Uint8Array(chosen.length).fill(1),
  };
  const places = placesOf(chosen, autojunk);
  const open = [{ alo: 0, ahi: rejected.length, blo: 0, bhi: chosen.length }];
  for (let range = open.pop(); range !== undefined; range = open.pop()) {
    const { alo, ahi, blo, bhi } = range;
    const { a, b, size } = longestMatch(rejected, chosen, places, alo, ahi, blo, bhi);
    if (size === 0) continue;
    masks.rejected.fill(0, a, a + size);
    masks.chosen.fill(0, b, b + size);
    open.push({ alo, ahi: a, blo, bhi: b }, { alo: a + size, ahi, blo: b + size, bhi });
  }
  return masks;
}

/** Positions of every token in the chosen answer, without the popular ones. */
function placesOf(chosen: ArrayLike<number>, autojunk: boolean): Map<number, number[]> {
  const places = new Map<number, number[]>();
  for (let j = 0; j < chosen.length; j++) {
    const list = places.get(chosen[j]);
    if (list) list.push(j);
    else places.set(chosen[j], [j]);
  }
  if (!autojunk || chosen.length < 200) return places;
  const most = Math.floor(chosen.length / 100) + 1;
  for (const [token, list] of places) if (list.length > most) places.delete(token);
  return places;
}

/** The first longest run of equal tokens inside the ranges: smallest a, then smallest b; popular tokens may extend it. */
function longestMatch(
  rejected: ArrayLike<number>,
  chosen: ArrayLike<number>,
  places: ReadonlyMap<number, readonly number[]>,
  alo: number,
  ahi: number,
  blo: number,
  bhi: number,
): Block {
  let a = alo;
  let b = blo;
  let size = 0;
  let lengths = new Map<number, number>();
  for (let i = alo; i < ahi; i++) {
    const next = new Map<number, number>();
    for (const j of places.get(rejected[i]) ?? []) {
      if (j < blo) continue;
      if (j >= bhi) break;
      const length = (lengths.get(j - 1) ?? 0) + 1;
      next.set(j, length);
      if (length <= size) continue;
      a = i - length + 1;
      b = j - length + 1;
      size = length;
    }
    lengths = next;
  }
  while (a > alo && b > blo && rejected[a - 1] === chosen[b - 1]) {
    a--;
    b--;
    size++;
  }
  while (a + size < ahi && b + size < bhi && rejected[a + size] === chosen[b + size]) size++;
  return { a, b, size };
}
