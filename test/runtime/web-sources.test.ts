import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { blobSource, fetchSource } from '../../src/runtime/web-sources.ts';

const content = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);

/** A server that honours ranges, and keeps count of the bytes it sent. */
function server(options: { ranges?: boolean; exposed?: boolean; cutTo?: number } = {}) {
  const { ranges = true, exposed = true, cutTo } = options;
  const seen = { bytes: 0 };
  const request = (async (_url: unknown, init?: RequestInit) => {
    const range = /bytes=(\d+)-(\d+)/.exec(new Headers(init?.headers).get('Range') ?? '');
    if (!ranges || range === null) return new Response(content);
    const body = content.slice(Number(range[1]), Math.min(Number(range[2]) + 1, cutTo ?? Infinity));
    seen.bytes += body.length;
    const headers = exposed ? { 'Content-Range': `bytes ${range[1]}-${range[2]}/1000` } : undefined;
    return new Response(body, { status: 206, headers });
  }) as typeof fetch;
  return { request, seen };
}

describe('a URL', () => {
  it('is read by ranges, and only those bytes travel', async () => {
    const { request, seen } = server();
    const source = await fetchSource('https://host/model', request);
    expect(source.size).toBe(1000);
    expect(await source.readRange(300, 20)).toEqual(content.slice(300, 320));
    expect(await source.readRange(1000, 0)).toHaveLength(0);
    expect(seen.bytes).toBe(21);
    await expect(source.readRange(990, 11)).rejects.toThrow('the file has 1000');
  });

  it('is taken as a whole from a server without ranges', async () => {
    const source = await fetchSource('https://host/model', server({ ranges: false }).request);
    expect(source.size).toBe(1000);
    expect(await source.readRange(999, 1)).toEqual(content.slice(999));
  });

  it('may be an empty file, which has no range', async () => {
    const request = (async (_url: unknown, init?: RequestInit) =>
      init === undefined ? new Response('') : new Response('', { status: 416 })) as typeof fetch;
    expect((await fetchSource('https://host/empty', request)).size).toBe(0);
  });

  it.each([
    ['a missing file', async () => new Response('', { status: 404 }), /host\/model: .* 404/],
    ['no connection', () => Promise.reject(new TypeError('refused')), /host\/model: cannot be reached/],
    ['a hidden size', server({ exposed: false }).request, /host\/model: .*Content-Range/],
  ])('is refused by name: %s', async (_, request, text) => {
    const error = await fetchSource('https://host/model', request as typeof fetch).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(InputError);
    expect(String(error)).toMatch(text);
  });

  it('never passes on a piece that is too short', async () => {
    const source = await fetchSource('https://host/model', server({ cutTo: 310 }).request);
    await expect(source.readRange(300, 20)).rejects.toThrow('asked for 20 bytes at 300, got 10');
  });
});

it('a blob is read by ranges', async () => {
  const source = blobSource(new Blob([content]), 'dropped');
  expect(await source.readRange(5, 2)).toEqual(content.slice(5, 7));
  await expect(source.readRange(999, 2)).rejects.toThrow('dropped: bytes 999 to 1001');
});
