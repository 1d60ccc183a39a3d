import { describe, expect, it } from 'vitest';
import { randomWord, uniformAt } from '../../src/data/random.ts';
import { epochOrder } from '../../src/data/shuffle.ts';

describe('random numbers', () => {
  it('depend on seed, stream and counter alone', () => {
    expect(randomWord(1, 2, 3)).toBe(randomWord(1, 2, 3));
    const words = new Set([
      randomWord(1, 2, 3),
      randomWord(2, 2, 3),
      randomWord(1, 3, 3),
      randomWord(1, 2, 4),
    ]);
    expect(words.size).toBe(4);
  });

  it('are uniform in (0, 1)', () => {
    const bins = new Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i++) bins[Math.floor(10 * uniformAt(7, 0, i))]++;
    const chiSquared = bins.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(chiSquared).toBeLessThan(27.9);
  });
});

describe('the order of an epoch', () => {
  it('is a permutation', () => {
    expect([...epochOrder(3, 0, 100)].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 100 }, (_, i) => i),
    );
    expect([...epochOrder(3, 0, 0)]).toEqual([]);
  });

  it('is the same every time, and another one for another epoch or seed', () => {
    expect(epochOrder(3, 1, 50)).toEqual(epochOrder(3, 1, 50));
    expect(epochOrder(3, 1, 50)).not.toEqual(epochOrder(3, 2, 50));
    expect(epochOrder(3, 1, 50)).not.toEqual(epochOrder(4, 1, 50));
  });

  it('puts every example first about equally often', () => {
    const first = new Array<number>(5).fill(0);
    for (let epoch = 0; epoch < 2000; epoch++) first[epochOrder(11, epoch, 5)[0]]++;
    for (const count of first) expect(Math.abs(count - 400)).toBeLessThan(80);
  });
});
