/** How the rows of a step are dealt out to ranks, so that none waits long for another. */

/**
 * Longest first, each to the rank that has least so far; each rank keeps the order of `items`. With at least as many items as
 * ranks every rank gets one.
 * @param sizeOf an item's tokens
 */
export function dealOut<Item>(
  items: readonly Item[],
  sizeOf: (item: Item) => number,
  ranks: number,
): Item[][] {
  if (ranks === 1) return [[...items]];
  const sizes = items.map(sizeOf);
  const longestFirst = [...items.keys()].sort((a, b) => sizes[b] - sizes[a] || a - b);
  const sums = new Array<number>(ranks).fill(0);
  const owners = new Array<number>(items.length);
  for (const i of longestFirst) {
    const least = sums.indexOf(Math.min(...sums));
    owners[i] = least;
    sums[least] += sizes[i];
  }
  return sums.map((_, rank) => items.filter((_item, i) => owners[i] === rank));
}
