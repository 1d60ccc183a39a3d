/**
 * A server on loopback that speaks as much of the Hugging Face hub's HTTP API as reading needs: revisions, listings in
 * pages, and files with ranges. Large files are in LFS, under the SHA-256 of their contents, as on the hub.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HubContents {
  /** Files of 'models/OWNER/NAME' or 'datasets/OWNER/NAME'. */
  readonly [repo: string]: Readonly<Record<string, string | Uint8Array>>;
}

export interface HubServer {
  /** For HF_ENDPOINT. */
  readonly endpoint: string;
  /** Method, path and range of every request. */
  readonly requests: string[];
  /** The commit of every branch of a repository. */
  commitOf(repo: string): string;
  /** Cuts the connection of the next download of a file whose path ends so, after this many bytes. */
  breakNext(path: string, bytes: number): void;
  close(): Promise<void>;
}

const LFS_BYTES = 1000;
const PAGE = 2;

/** @param token - who does not send it gets 401 */
export async function serveHub(contents: HubContents, token?: string): Promise<HubServer> {
  const requests: string[] = [];
  const breaks = new Map<string, number>();
  const commitOf = (repo: string) =>
    digest(
      'sha1',
      JSON.stringify([repo, Object.entries(contents[repo] ?? {}).map(([p, c]) => [p, digest('sha1', c)])]),
    );

  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '/', 'http://hub');
    const { range } = request.headers;
    requests.push(`${request.method} ${url.pathname}${range === undefined ? '' : ` ${range}`}`);
    const fail = (status: number, error: string, code = 'RepoNotFound') =>
      response
        .writeHead(status, { 'content-type': 'application/json', 'x-error-code': code })
        .end(JSON.stringify({ error }));
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) {
      return fail(401, 'Invalid credentials');
    }
    const api = /^\/api\/((?:models|datasets)\/[^/]+\/[^/]+)\/(revision|tree)\/([^/]+)/.exec(url.pathname);
    if (api !== null) {
      const [, repo, what, revision] = api;
      const files = contents[repo];
      if (files === undefined) return fail(404, 'Repository not found');
      const commit = commitOf(repo);
      if (decodeURIComponent(revision) !== 'main' && revision !== commit) {
        return fail(404, `Invalid rev id: ${revision}`, 'RevisionNotFound');
      }
      const json = { 'content-type': 'application/json' };
      if (what === 'revision') {
        return response.writeHead(200, json).end(JSON.stringify({ _id: 'x', id: repo, sha: commit }));
      }
      const first = Number(url.searchParams.get('cursor') ?? 0);
      const names = Object.keys(files).sort();
      const entries = names.slice(first, first + PAGE).map((path) => entryOf(path, bytesOf(files[path])));
      url.searchParams.set('cursor', String(first + PAGE));
      const next = `<http://${request.headers.host}${url.pathname}${url.search}>; rel="next"`;
      return response
        .writeHead(200, first + PAGE < names.length ? { ...json, link: next } : json)
        .end(JSON.stringify(entries));
    }
    const [, kind = '', name, revision, path] =
      /^\/(datasets\/)?([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.*)$/.exec(url.pathname) ?? [];
    const repo = `${kind || 'models/'}${name}`;
    const file = contents[repo]?.[decodeURIComponent(path ?? '')];
    if (file === undefined || revision !== commitOf(repo))
      return fail(404, 'Entry not found', 'EntryNotFound');
    return sendFile(response, bytesOf(file), range, takeBreak(breaks, path));
  };

  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    commitOf,
    breakNext: (path, bytes) => void breaks.set(path, bytes),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Only a download of more than one byte is cut: the first byte is what clients ask for to learn the size. */
function takeBreak(
  breaks: Map<string, number>,
  path: string,
): (range: string | undefined) => number | undefined {
  return (range) => {
    if (range === 'bytes=0-0') return undefined;
    const found = [...breaks.keys()].find((end) => path.endsWith(end));
    const bytes = found === undefined ? undefined : breaks.get(found);
    if (found !== undefined) breaks.delete(found);
    return bytes;
  };
}

function sendFile(
  response: ServerResponse,
  bytes: Uint8Array,
  range: string | undefined,
  breakOf: (range: string | undefined) => number | undefined,
): void {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  const start = Number(from ?? 0);
  const part = bytes.subarray(start, to === undefined ? undefined : Number(to) + 1);
  const headers = { etag: `"${digest('sha256', bytes)}"`, 'content-length': part.length };
  if (range === undefined) response.writeHead(200, headers);
  else {
    const contentRange = `bytes ${start}-${start + part.length - 1}/${bytes.length}`;
    response.writeHead(206, { ...headers, 'content-range': contentRange });
  }
  const cut = breakOf(range);
  if (cut === undefined) response.end(part);
  else response.write(part.subarray(0, cut), () => response.destroy());
}

function entryOf(path: string, bytes: Uint8Array) {
  const oid = digest('sha1', bytes);
  const lfs = { oid: digest('sha256', bytes), size: bytes.length, pointerSize: 130 };
  return { type: 'file', path, size: bytes.length, oid, ...(bytes.length > LFS_BYTES && { lfs }) };
}

function bytesOf(content: string | Uint8Array): Uint8Array {
  return typeof content === 'string' ? new TextEncoder().encode(content) : content;
}

function digest(algorithm: string, content: string | Uint8Array): string {
  return createHash(algorithm).update(content).digest('hex');
}
