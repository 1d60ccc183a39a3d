/**
 * Which tokens differ between two answers, by unit-cost edit distance (BMC).
 */

/** Per-token masks: 1 where the token is part of an edit that turns rejected into chosen. */
export interface DifferenceMasks {
  readonly rejected: Uint8Array;
  readonly chosen: Uint8Array;
}

const DELETE = 1;
const INSERT = 2;
const SUBSTITUTE = 3;

/**
 * Edit distance and masks. Ties are resolved from the end: a match, then deletion, insertion, substitution.
 *
 * Where the last tokens are equal, D[i][j] = D[i-1][j-1] always holds for unit costs, so the match is always taken:
 * a common suffix can be cut off, and only unequal cells need a direction. (A common prefix cannot: for rejected
 * [A, A] and chosen [A] the match belongs to the last A.) Directions take 2 bits each, n m / 4 bytes in all.
 */
export function levenshteinMasks(
  rejected: ArrayLike<number>,
  chosen: ArrayLike<number>,
): DifferenceMasks & { readonly distance: number } {
  const masks = { rejected: new Uint8Array(rejected.length), chosen: new Uint8Array(chosen.length) };
  let n = rejected.length;
  let m = chosen.length;
  while (n > 0 && m > 0 && rejected[n - 1] === chosen[m - 1]) {
    n--;
    m--;
  }
  const directions = new Uint8Array(Math.ceil((n * m) / 4));
  const distance = fillDirections(rejected, chosen, n, m, directions);

  let i = n;
  let j = m;
  while (i > 0 || j > 0) {
    if (i > 0 && j > 0 && rejected[i - 1] === chosen[j - 1]) {
      i--;
      j--;
      continue;
    }
    const cell = (i - 1) * m + (j - 1);
    const step = j === 0 ? DELETE : i === 0 ? INSERT : ((directions[cell >> 2] ?? 0) >> ((cell & 3) * 2)) & 3;
    if (step !== INSERT) masks.rejected[--i] = 1;
    if (step !== DELETE) masks.chosen[--j] = 1;
  }
  return { ...masks, distance };
}

/** D[i][j] row by row, of which two rows are kept; writes the direction of every unequal cell. Returns D[n][m]. */
function fillDirections(
  rejected: ArrayLike<number>,
  chosen: ArrayLike<number>,
  n: number,
  m: number,
  directions: Uint8Array,
): number {
  let above = Int32Array.from({ length: m + 1 }, (_, j) => j);
  let row = new Int32Array(m + 1);
  for (let i = 1; i <= n; i++) {
    row[0] = i;
    for (let j = 1; j <= m; j++) {
      if (rejected[i - 1] === chosen[j - 1]) {
        row[j] = above[j - 1];
        continue;
      }
      const best = Math.min(above[j], row[j - 1], above[j - 1]);
      row[j] = best + 1;
      const step = above[j] === best ? DELETE : row[j - 1] === best ? INSERT : SUBSTITUTE;
      const cell = (i - 1) * m + (j - 1);
      directions[cell >> 2] |= step << ((cell & 3) * 2);
    }
    [above, row] = [row, above];
  }
  return above[m];
}
