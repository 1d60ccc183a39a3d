/** Readable files of the web platform: blobs (dropped or chosen files) and URLs. */
import { InputError } from '../errors.ts';
import { checkRange } from './file-range.ts';
import type { FileSource } from './runtime.ts';
import type { WebBlob, WebFetch } from './web-types.ts';

/** A blob or a `File` as a source. @param name - used in messages */
export function blobSource(blob: WebBlob, name: string): FileSource {
  return {
    name,
    size: blob.size,
    async readRange(offset, length) {
      checkRange(name, blob.size, offset, length);
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    },
    close: async () => {},
  };
}

/**
 * A file behind a URL, fetched piece by piece with Range requests. From a server that ignores them, the whole body is
 * taken into a blob, which browsers keep on disk when it is large.
 * @throws InputError naming the URL, for an answer that is neither 206 nor 200
 */
export async function fetchSource(url: string, request: WebFetch = fetch): Promise<FileSource> {
  const first = await fetchRange(request, url, 0, 1);
  if (first.status === 200) return blobSource(await first.blob(), url);
  const size = sizeOf(first);
  await first.arrayBuffer();
  if (size === undefined) {
    throw new InputError(
      `${url}: the server does not tell the size of the file. If it is another origin, it must expose the Content-Range header.`,
    );
  }
  return {
    name: url,
    size,
    async readRange(offset, length) {
      checkRange(url, size, offset, length);
      if (length === 0) return new Uint8Array(0);
      const answer = await fetchRange(request, url, offset, length);
      const bytes = new Uint8Array(await answer.arrayBuffer());
      if (answer.status !== 206 || bytes.length !== length || sizeOf(answer) !== size) {
        throw new InputError(
          `${url}: asked for ${length} bytes at ${offset}, got ${bytes.length} (status ${answer.status}); the file changed or the connection broke.`,
        );
      }
      return bytes;
    },
    close: async () => {},
  };
}

/** An empty file cannot satisfy any range (416), so it is asked for as a whole. */
async function fetchRange(
  request: typeof fetch,
  url: string,
  offset: number,
  length: number,
): Promise<Response> {
  const headers = { Range: `bytes=${offset}-${offset + length - 1}` };
  let answer: Response;
  try {
    answer = await request(url, { headers });
    if (answer.status === 416 && offset === 0) answer = await request(url);
  } catch (error) {
    throw new InputError(
      `${url}: cannot be reached (${error instanceof Error ? error.message : error}). On another origin it needs CORS headers.`,
    );
  }
  if (answer.status !== 200 && answer.status !== 206) {
    throw new InputError(`${url}: the server answered ${answer.status} ${answer.statusText}.`);
  }
  return answer;
}

/** The number behind the slash of 'Content-Range: bytes 0-0/1234'. */
function sizeOf(answer: Response): number | undefined {
  const match = /\/(\d+)$/.exec(answer.headers.get('Content-Range') ?? '');
  return match === null ? undefined : Number(match[1]);
}
