/** Work that is dealt out to ranks comes back as if one process had done it. */
import { describe, expect, it } from 'vitest';
import { InputError, RunError } from '../../src/errors.ts';
import { inOrder, shareOut } from '../../src/runtime/in-order.ts';
import type { Ranks } from '../../src/runtime/ranks.ts';
import { asRanks } from '../support/local-ranks.ts';

const items = [...Array(11).keys()];

/** Later items are ready sooner. */
const backwards = (item: number) =>
  new Promise<number>((resolve) => setTimeout(() => resolve(item * item), 22 - 2 * item));

async function collect(ranks: Ranks, window: number): Promise<number[]> {
  const results: number[] = [];
  for await (const { item, result } of inOrder(ranks, items, backwards, window)) {
    expect(result).toBe(item * item);
    results.push(result);
  }
  return results;
}

describe.each([1, 2, 3])('work on %i ranks', (size) => {
  it.each([1, 4])('comes back in order on all of them, with %i items under way', async (window) => {
    const squares = items.map((item) => item * item);
    expect(await asRanks(size, (ranks) => collect(ranks, window))).toEqual(Array(size).fill(squares));
  });

  it('is done once', async () => {
    const done: number[] = [];
    const work = async (item: number) => done.push(item);
    await asRanks(size, async (ranks) => {
      for await (const _ of inOrder(ranks, items, work, 2));
    });
    expect(done.sort((a, b) => a - b)).toEqual(items);
  });

  it.each([InputError, RunError])(
    'that fails is thrown everywhere, behind what came before: %s',
    async (Kind) => {
      const work = async (item: number) => {
        if (item >= 7) throw new Kind(`item ${item}`);
        return item;
      };
      const ends = await asRanks(size, async (ranks) => {
        const seen: number[] = [];
        try {
          for await (const { result } of inOrder(ranks, items, work, 3)) seen.push(result);
        } catch (error) {
          return { seen, isKind: error instanceof Kind, message: (error as Error).message };
        }
        return { seen };
      });
      const end = { seen: items.slice(0, 7), isKind: true, message: 'item 7' };
      expect(ends).toEqual(Array(size).fill(end));
    },
  );

  it('on a list at once has each number of the list once', async () => {
    const ends = await asRanks(size, (ranks) =>
      shareOut(ranks, ['a', 'b', 'c', 'd'], async (own, numbers) =>
        own.map((text, i) => `${text}${numbers[i]}`),
      ),
    );
    expect(ends).toEqual(Array(size).fill(['a0', 'b1', 'c2', 'd3']));
  });
});
