/**
 * Work over rows that is dealt out to the ranks of a job and comes back in one order. Item i belongs to rank i mod n. Ranks
 * work ahead of the item that is next, so that a long one holds up nobody, and exchange one result each at a time.
 */
import { InputError, RunError } from '../errors.ts';
import { gatherValues, type Ranks } from './ranks.ts';

export interface Done<Item, Result> {
  readonly item: Item;
  readonly result: Result;
}

/** How the work on one item ended, as JSON carries it. */
type Ended<Result> =
  | { readonly ended: 'well'; readonly result: Result }
  | { readonly ended: 'badly'; readonly isInput: boolean; readonly message: string };

/**
 * Every rank calls it with the same items and gets all results. A failure is thrown on every rank in the place of its item,
 * after the results of those before it.
 * @param work - its result is what JSON carries, where there are several ranks
 * @param window - items that each rank works on at once
 * @throws what `work` throws; on the other ranks an InputError or RunError of the same message
 */
export async function* inOrder<Item, Result>(
  ranks: Ranks,
  items: AsyncIterable<Item> | Iterable<Item>,
  work: (item: Item) => Promise<Result>,
  window = 1,
): AsyncGenerator<Done<Item, Result>> {
  const { rank, size } = ranks;
  const read: Item[] = [];
  const own: Promise<Result>[] = [];
  let count = 0;
  try {
    for await (const item of items) {
      read.push(item);
      if (count++ % size === rank) own.push(watched(work(item)));
      if (count % size === 0 && read.length >= window * size)
        yield* round(ranks, read.splice(0, size), own.shift());
    }
    while (read.length > 0) yield* round(ranks, read.splice(0, size), own.shift());
  } finally {
    await Promise.allSettled(own);
  }
}

/** One item of every rank, or fewer in the end. */
async function* round<Item, Result>(
  ranks: Ranks,
  items: readonly Item[],
  own: Promise<Result> | undefined,
): AsyncGenerator<Done<Item, Result>> {
  if (ranks.size === 1) {
    if (own !== undefined) yield { item: items[0], result: await own };
    return;
  }
  const all = await gatherValues(ranks, own && (await endOf(own)));
  for (const [i, item] of items.entries()) {
    const end = all[i];
    if (end?.ended === 'well') yield { item, result: end.result };
    else {
      // This rank knows more than a message.
      if (i === ranks.rank) await own;
      const message = end?.message ?? `Rank ${i} has no result.`;
      throw end?.ended === 'badly' && end.isInput ? new InputError(message) : new RunError(message);
    }
  }
}

async function endOf<Result>(work: Promise<Result>): Promise<Ended<Result>> {
  try {
    return { ended: 'well', result: await work };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ended: 'badly', isInput: error instanceof InputError, message };
  }
}

/** It may fail before its turn has come. */
function watched<Result>(work: Promise<Result>): Promise<Result> {
  work.catch(() => {});
  return work;
}

/** The same for work on many items at once, such as answers to a list of prompts: every rank is given its own. */
export async function shareOut<Item, Result>(
  ranks: Ranks,
  items: readonly Item[],
  work: (own: readonly Item[], numbers: readonly number[]) => Promise<readonly Result[]>,
): Promise<Result[]> {
  const numbers = [...items.keys()].filter((i) => i % ranks.size === ranks.rank);
  const results = await work(
    numbers.map((i) => items[i]),
    numbers,
  );
  const ofRanks = await gatherValues(ranks, results);
  return items.map((_, i) => ofRanks[i % ranks.size][Math.floor(i / ranks.size)]);
}
