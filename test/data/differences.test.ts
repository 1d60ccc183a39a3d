import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { levenshteinMasks } from '../../src/data/levenshtein.ts';
import { difflibMasks } from '../../src/data/sequence-matcher.ts';

type Masks = Record<`${'lev' | 'difflib' | 'difflib_noautojunk'}_${'rejected' | 'chosen'}`, number[]>;

interface Case extends Masks {
  rejected: number[];
  chosen: number[];
  stop_ids: number[];
  lev_distance: number;
}

const golden = new URL('../fixtures/golden/golden.json', import.meta.url);
const cases: Case[] = JSON.parse(readFileSync(golden, 'utf8')).diffs;

/** The golden SequenceMatcher masks leave stop words out; ours have none. */
const without = (mask: Uint8Array, ids: number[], stop: number[]) =>
  Array.from(mask, (bit, i) => (stop.includes(ids[i]) ? 0 : bit));

describe.each(cases.map((c, i) => [i, c.rejected.length, c.chosen.length, c] as const))(
  'golden pair %i (%i and %i tokens)',
  (_i, _n, _m, c) => {
    it('Levenshtein', () => {
      const { rejected, chosen, distance } = levenshteinMasks(c.rejected, c.chosen);
      expect(distance).toBe(c.lev_distance);
      expect(Array.from(rejected)).toEqual(c.lev_rejected);
      expect(Array.from(chosen)).toEqual(c.lev_chosen);
    });

    it.each([
      ['difflib', true],
      ['difflib_noautojunk', false],
    ] as const)('SequenceMatcher (%s)', (name, autojunk) => {
      const { rejected, chosen } = difflibMasks(c.rejected, c.chosen, autojunk);
      expect(without(rejected, c.rejected, c.stop_ids)).toEqual(c[`${name}_rejected`]);
      expect(without(chosen, c.chosen, c.stop_ids)).toEqual(c[`${name}_chosen`]);
    });
  },
);

/** The definition, cell by cell, with the whole table kept. */
function plainLevenshtein(a: number[], b: number[]) {
  const D = a.concat(0).map(() => new Array<number>(b.length + 1).fill(0));
  for (let i = 0; i <= a.length; i++) {
    for (let j = 0; j <= b.length; j++) {
      if (i === 0 || j === 0) D[i][j] = i + j;
      else
        D[i][j] = Math.min(D[i - 1][j] + 1, D[i][j - 1] + 1, D[i - 1][j - 1] + Number(a[i - 1] !== b[j - 1]));
    }
  }
  const masks = [a.map(() => 0), b.map(() => 0)];
  for (let i = a.length, j = b.length; i > 0 || j > 0; ) {
    if (i && j && a[i - 1] === b[j - 1] && D[i][j] === D[i - 1][j - 1]) [i, j] = [i - 1, j - 1];
    else if (i && D[i][j] === D[i - 1][j] + 1) masks[0][--i] = 1;
    else if (j && D[i][j] === D[i][j - 1] + 1) masks[1][--j] = 1;
    else masks[0][--i] = masks[1][--j] = 1;
  }
  return { masks, distance: D[a.length][b.length] };
}

describe('Levenshtein', () => {
  it('agrees with the whole table on many small pairs, ties included', () => {
    let state = 1;
    const next = (n: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 16) % n;
    };
    for (let k = 0; k < 500; k++) {
      const [a, b] = [0, 1].map(() => Array.from({ length: next(9) }, () => next(3)));
      const { rejected, chosen, distance } = levenshteinMasks(a, b);
      expect({ masks: [[...rejected], [...chosen]], distance }).toEqual(plainLevenshtein(a, b));
    }
  });

  it('matches from the end', () => {
    expect([...levenshteinMasks([5, 5], [5]).rejected]).toEqual([1, 0]);
  });

  it('marks nothing in equal answers and everything in disjoint ones', () => {
    expect(levenshteinMasks([1, 2], [1, 2])).toMatchObject({ distance: 0, rejected: Uint8Array.of(0, 0) });
    expect(levenshteinMasks([1, 2], [3, 4])).toMatchObject({
      distance: 2,
      rejected: Uint8Array.of(1, 1),
      chosen: Uint8Array.of(1, 1),
    });
  });
});
