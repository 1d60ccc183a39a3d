import { describe, expect, it } from 'vitest';
import { mostBlocks, tokenBlocks } from '../../src/data/token-blocks.ts';

/** Visibility of segments given as [first token of the branch, tokens]; only branch starts matter to blocks. */
const sightOf = (...segments: readonly number[]) =>
  segments.flatMap((length, n) => {
    const start = segments.slice(0, n).reduce((a, b) => a + b, 0);
    return Array.from({ length }, (_, i) => [0, 0, start, i]).flat();
  });

describe('token blocks', () => {
  it('end where prompts and answers do, and after 8 tokens', () => {
    expect(tokenBlocks(sightOf(10, 8, 1), 19)).toEqual([0, 8, 8, 2, 10, 8, 18, 1]);
  });

  it('take empty slots together, which all see themselves alone', () => {
    const empty = [0, 1, 2].flatMap((i) => [3 + i, 3 + i, 3 + i, 0]);
    expect(tokenBlocks([...sightOf(3), ...empty], 3)).toEqual([0, 3, 3, 3]);
    expect(tokenBlocks(empty, 0)).toEqual([0, 3]);
  });

  it('are never more than are allocated', () => {
    // Six segments to an example, each one token longer than a block.
    const segments = Array.from({ length: 12 }, () => 9);
    const blocks = tokenBlocks(sightOf(...segments), 108);
    expect(blocks.length / 2).toBe(24);
    expect(blocks.length / 2).toBeLessThanOrEqual(mostBlocks({ tokens: 108, pairs: 2 }));
  });
});
