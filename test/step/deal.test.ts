/** How the rows of a step are dealt out to ranks. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dealOut } from '../../src/step/deal.ts';

const sizeOf = (tokens: number) => tokens;
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

describe('rows dealt out to ranks', () => {
  it('stay as they are on one', () => {
    expect(dealOut([3, 1, 2], sizeOf, 1)).toEqual([[3, 1, 2]]);
  });

  it('keep their order on each, the longest weighing most', () => {
    expect(dealOut([5, 1, 9, 4, 2], sizeOf, 2)).toEqual([
      [9, 2],
      [5, 1, 4],
    ]);
  });

  it('go to one rank each, and no rank has more than the longest row above another', () => {
    const tokens = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(tokens, fc.integer({ min: 1, max: 8 }), (rows, ranks) => {
        const dealt = dealOut([...rows.keys()], (i) => rows[i], ranks);
        expect(dealt).toHaveLength(ranks);
        expect(dealt.flat().sort((a, b) => a - b)).toEqual([...rows.keys()]);
        const sums = dealt.map((own) => sum(own.map((i) => rows[i])));
        expect(Math.max(...sums) - Math.min(...sums)).toBeLessThanOrEqual(Math.max(...rows));
      }),
    );
  });
});
