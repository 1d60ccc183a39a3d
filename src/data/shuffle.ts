/** The order in which an epoch visits the data: a Fisher-Yates shuffle that depends on (seed, epoch) alone. */
import { uniformAt } from './random.ts';

/** A permutation of 0 .. count - 1. */
export function epochOrder(seed: number, epoch: number, count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(uniformAt(seed, epoch, i) * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
