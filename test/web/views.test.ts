/** The page's pure parts: alignment, scale, what a view shows, and the state in the URL. */
import { describe, expect, it } from 'vitest';
import { latestOnly } from '../../web/app/latest.ts';
import { fromHash, Store, toHash } from '../../web/app/state.ts';
import {
  align,
  colourClass,
  histogram,
  meanByPosition,
  number,
  placeOf,
  scaleOf,
  valuesOf,
  visible,
} from '../../web/app/views.ts';
import type { ScoredPair, ScoredSide } from '../../web/worker/protocol.ts';

const side = (rewards: number[]): ScoredSide => ({
  token_ids: rewards.map((_, i) => i),
  tokens: rewards.map((_, i) => `t${i}`),
  logps: rewards.map(() => -1),
  diff: rewards.map(() => 0),
  rewards,
  contributions: rewards,
  cut: [],
});
const pair = (chosen: number[], rejected: number[]): ScoredPair => ({
  prompt: { token_ids: [], tokens: [] },
  chosen: side(chosen),
  rejected: side(rejected),
});

describe('alignment', () => {
  const mask = (text: string) => [...text].map((c): 0 | 1 => (c === '1' ? 1 : 0));

  it('puts common stretches side by side and what differs between them', () => {
    expect(align(mask('0000110000'), mask('00001110000'))).toEqual([
      { varied: false, chosen: [0, 4], rejected: [0, 4] },
      { varied: true, chosen: [4, 6], rejected: [4, 7] },
      { varied: false, chosen: [6, 10], rejected: [7, 11] },
    ]);
  });

  it('leaves no token out and shows none twice, whatever the masks', () => {
    for (const [a, b] of [
      ['1', ''],
      ['0101010', '0010100'],
      ['111000111', '0000'],
      ['00', '0000'],
    ]) {
      const stretches = align(mask(a), mask(b));
      expect(stretches[0].chosen[0]).toBe(0);
      expect(stretches.at(-1)?.chosen[1]).toBe(a.length);
      expect(stretches.at(-1)?.rejected[1]).toBe(b.length);
      for (let i = 1; i < stretches.length; i++) {
        expect(stretches[i].chosen[0]).toBe(stretches[i - 1].chosen[1]);
        expect(stretches[i].rejected[0]).toBe(stretches[i - 1].rejected[1]);
      }
    }
  });
});

describe('the scale', () => {
  it('is the same for all panes, centred at 0, and not set by one outlier', () => {
    const many = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? 1 : -1) * (i / 100));
    expect(scaleOf([pair([...many, 50], [])], 'reward')).toBeLessThan(1);
    expect(scaleOf([pair([0, 0], [0])], 'reward')).toBe(1);
    expect([placeOf(5, 1), placeOf(-5, 1), placeOf(0, 1)]).toEqual([1, -1, 0]);
    expect([colourClass(1), colourClass(-1), colourClass(0.01)]).toEqual(['p8', 'n8', 'z0']);
  });
});

describe('a view', () => {
  it('adds up, fills in, or says that it is not known', () => {
    const own = side([1, 2, 3]);
    expect(valuesOf(own, 'running')).toEqual([1, 3, 6]);
    expect(valuesOf(own, 'lambda')).toEqual([1, 1, 1]);
    expect(valuesOf(own, 'kl')).toBeUndefined();
  });

  it('shows numbers briefly and white space visibly', () => {
    expect([number(-0.12345), number(12.34), number(0.00001), number(undefined)]).toEqual([
      '−0.123',
      '12.3',
      '1.0e−5',
      '–',
    ]);
    expect(visible(' a\n')).toBe('·a⏎');
  });
});

describe('the state in the URL', () => {
  it('comes back as it was, and is empty at the start', () => {
    const store = new Store('');
    expect(toHash(store.state)).toBe('');
    store.set({
      pair: 3,
      models: ['dpo', 'dpo-bmc'],
      view: 'kl',
      method: 'mipo',
      bmc: true,
      tab: 'edit',
      edited: { prompt: 'a & b', chosen: '#1', rejected: ' ü' },
    });
    expect(fromHash(toHash(store.state))).toEqual(store.state);
  });

  it('ignores what makes no sense', () => {
    expect(fromHash('#pair=-3&view=nothing&tab=7&models=')).toEqual(fromHash(''));
  });
});

describe('what charts are made of', () => {
  it('counts every value once, the largest in the last bin', () => {
    const { x, counts } = histogram([-1, 0, 0.4, 1], 4);
    expect(x).toEqual([-0.75, -0.25, 0.25, 0.75]);
    expect(counts).toEqual([1, 0, 2, 1]);
  });

  it('takes means by place in a span, as far as spans reach', () => {
    expect(meanByPosition([[4, 1], [2], [3, 2]], 3)).toEqual([3, 1.5, null]);
  });
});

describe('requests that overtake each other', () => {
  it('runs the first and the newest, and goes on after a failure', async () => {
    const ran: number[] = [];
    const failures: unknown[] = [];
    const ask = latestOnly(
      async (n: number) => {
        ran.push(n);
        await Promise.resolve();
        if (n === 1) throw new Error('one');
      },
      (error) => failures.push(error),
    );
    for (const n of [1, 2, 3, 4]) ask(n);
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(ran).toEqual([1, 4]);
    expect(failures).toEqual([new Error('one')]);
    ask(5);
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(ran).toEqual([1, 4, 5]);
  });
});
