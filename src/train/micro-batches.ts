/**
 * Which examples go through the GPU together.
 *
 * An optimizer step takes `stepSize` examples in the sampler's order. They are cut, in order, into micro-batches of at
 * most `maxExamples` examples and `maxTokens` input tokens. Micro-batches are then put into shape buckets whose token
 * capacities grow by at most a tenth, so that fewer than 10% of the slots of any batch stay empty.
 */
import type { BatchShape } from '../data/batches.ts';

export interface CutLimits {
  /** Examples per optimizer step. */
  readonly stepSize: number;
  readonly maxExamples: number;
  readonly maxTokens: number;
}

/** Indices of examples that form one micro-batch. */
export type MicroBatch = readonly number[];

/** Cuts one step's examples into micro-batches. An example longer than the budget gets one of its own. */
export function cutStep(
  examples: readonly number[],
  shapes: readonly BatchShape[],
  limits: CutLimits,
): MicroBatch[] {
  const batches: number[][] = [];
  let tokens = 0;
  for (const example of examples) {
    const current = batches.at(-1);
    const size = shapes[example].tokens;
    if (current === undefined || current.length >= limits.maxExamples || tokens + size > limits.maxTokens) {
      batches.push([example]);
      tokens = size;
    } else {
      current.push(example);
      tokens += size;
    }
  }
  return batches;
}

/** The ladder of token capacities: the smallest rung that holds `tokens`. Rungs grow by a tenth, starting at 16. */
export function bucketTokens(tokens: number): number {
  let rung = 16;
  while (rung < tokens) rung = Math.max(rung + 1, Math.floor(rung * 1.1));
  return tokens < 16 ? Math.max(1, tokens) : rung;
}

/**
 * The buckets that a set of micro-batches needs, by token capacity. Rows and pairs get the most that any of the
 * bucket's micro-batches uses.
 */
export function planBuckets(sizes: Iterable<BatchShape>): Map<number, BatchShape> {
  const buckets = new Map<number, BatchShape>();
  for (const size of sizes) {
    const tokens = bucketTokens(size.tokens);
    const known = buckets.get(tokens) ?? { tokens, rows: 0, pairs: 0 };
    buckets.set(tokens, {
      tokens,
      rows: Math.max(known.rows, size.rows),
      pairs: Math.max(known.pairs, size.pairs),
    });
  }
  return new Map([...buckets].sort(([a], [b]) => b - a));
}
