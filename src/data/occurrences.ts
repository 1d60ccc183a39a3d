/** Lists that let the GPU add up scattered gradients in a fixed order, without atomics. */
import type { BatchShape } from './batches.ts';

/**
 * Tokens sorted by id: the run `order[starts[u] .. starts[u + 1]]` holds the tokens whose id is `uniqueIds[u]`, in order.
 * Lists are padded to `capacity` with empty runs.
 */
export function occurrences(
  ids: Uint32Array,
  capacity: number,
): { order: Uint32Array; starts: Uint32Array; uniqueIds: Uint32Array } {
  const order = Uint32Array.from(ids.keys()).sort((a, b) => ids[a] - ids[b] || a - b);
  const starts = new Uint32Array(capacity + 1).fill(ids.length);
  const uniqueIds = new Uint32Array(capacity);
  let unique = 0;
  order.forEach((token, n) => {
    if (n > 0 && ids[token] === ids[order[n - 1]]) return;
    starts[unique] = n;
    uniqueIds[unique++] = ids[token];
  });
  return { order, starts, uniqueIds };
}

/** Rows of the head sorted by the token they are taken from: token t's run is `picks[starts[t] .. starts[t + 1]]`. */
export function picks(
  headRows: Uint32Array,
  capacity: BatchShape,
): { starts: Uint32Array; picks: Uint32Array } {
  const starts = new Uint32Array(capacity.tokens + 1);
  for (const token of headRows) starts[token + 1]++;
  for (let t = 0; t < capacity.tokens; t++) starts[t + 1] += starts[t];
  const next = starts.slice();
  const sorted = new Uint32Array(capacity.rows);
  headRows.forEach((token, row) => {
    sorted[next[token]++] = row;
  });
  return { starts, picks: sorted };
}
