/** Text as it becomes certain: characters of several tokens, stop strings across token borders. */
import { describe, expect, it } from 'vitest';
import { loadTokenizer } from '../../src/data/load-tokenizer.ts';
import { BlockPool } from '../../src/generate/block-pool.ts';
import { TextStream } from '../../src/generate/text-stream.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';

const tokenizer = await loadTokenizer(nodeRuntime().files, 'examples/stories260K');

function stream(text: string, stops: readonly string[] = []) {
  const texts = new TextStream(tokenizer, stops);
  const pieces = tokenizer.encodeContinuation(text).map((token) => texts.push(token));
  return { pieces, rest: texts.end(), isStopped: texts.isStopped };
}

describe('the text of a stream', () => {
  it.each([' a little girl.', 'Zoë says: 大きい 🦊!', 'tabs\tand\nlines'])(
    'is that of all tokens at once: %s',
    (text) => {
      const { pieces, rest } = stream(text);
      expect(pieces.join('') + rest).toBe(text);
      expect(pieces.every((piece) => !piece.includes('\uFFFD'))).toBe(true);
    },
  );

  it('comes token by token', () => {
    expect(stream(' a little girl').pieces.filter((piece) => piece !== '').length).toBeGreaterThan(2);
  });

  it('ends before the earliest stop string, wherever tokens end', () => {
    for (const stop of ['girl', 'irl n', 'l named L', 'tle gi'] as const) {
      const { pieces, rest, isStopped } = stream(' a little girl named Lily', [stop, 'Lily', 'zzz']);
      expect(pieces.join('') + rest).toBe(
        ' a little girl named Lily'.slice(0, ' a little girl named Lily'.indexOf(stop)),
      );
      expect(isStopped).toBe(true);
    }
  });

  it('keeps what only looked like a stop string', () => {
    const { pieces, rest, isStopped } = stream(' a little girl', ['girls', 'littler', '']);
    expect(pieces.join('') + rest).toBe(' a little girl');
    expect(isStopped).toBe(false);
  });
});

describe('blocks', () => {
  it('are free again when their last owner has left, and never two owners by accident', () => {
    const pool = new BlockPool();
    expect(pool.take()).toBeUndefined();
    pool.grow(4);
    const [a, b] = [pool.take() ?? 0, pool.take() ?? 0];
    pool.share(a);
    expect(pool).toMatchObject({ size: 4, used: 2, free: 1 });
    pool.release(a);
    expect(pool.used).toBe(2);
    pool.release(a);
    pool.grow(6);
    const rest = [pool.take(), pool.take(), pool.take(), pool.take()];
    expect(new Set([...rest, b, 0]).size).toBe(6);
    expect(pool.take()).toBeUndefined();
  });
});
