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

/** An example in a step and its partner, whose answer KTO mismatches its prompt with; indices in the data set. */
export interface BatchItem {
  readonly example: number;
  readonly partner: number;
}

/** What goes through the GPU together. */
export type MicroBatch = readonly BatchItem[];

/**
 * The items of one step: each example's partner is the next one of the same step, however the step is cut. An example
 * that is alone in its step takes the next one of the data set.
 */
export function itemsOf(examples: readonly number[], dataSetSize: number): BatchItem[] {
  if (examples.length === 1)
    return examples.map((example) => ({ example, partner: (example + 1) % dataSetSize }));
  return examples.map((example, i) => ({ example, partner: examples[(i + 1) % examples.length] }));
}

/** Cuts one step into micro-batches. What is longer than the budget gets one of its own. */
export function cutStep<Item>(
  items: readonly Item[],
  shapeOf: (item: Item) => BatchShape,
  limits: CutLimits,
): Item[][] {
  const batches: Item[][] = [];
  let tokens = 0;
  for (const item of items) {
    const current = batches.at(-1);
    const size = shapeOf(item).tokens;
    if (current === undefined || current.length >= limits.maxExamples || tokens + size > limits.maxTokens) {
      batches.push([item]);
      tokens = size;
    } else {
      current.push(item);
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
