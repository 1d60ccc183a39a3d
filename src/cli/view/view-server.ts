/**
 * The built page and the sources of one session, on loopback and read-only.
 *
 *   /                                   the page
 *   /session/TOKEN/index.json           {files: [path, ...]}
 *   /session/TOKEN/files/PATH           one of these files, whole or by range
 *
 * Nothing else is served: a path is looked up, never walked. Requests under another Host are refused, so that no site can
 * reach this server by a name of its own that leads to this machine.
 */
import { randomBytes } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import { InputError } from '../../errors.ts';
import type { ViewFiles } from './view-files.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
};

export interface ViewServer {
  /** The page with its session's token. */
  readonly url: string;
  close(): Promise<void>;
}

/** @param page the files of the built page, by their path in it */
export async function serveView(page: ViewFiles, files: ViewFiles, port: number): Promise<ViewServer> {
  const token = randomBytes(16).toString('hex');
  const served = new Map<string, string>();
  for (const [path, file] of page) served.set(`/${path}`, file);
  for (const [path, file] of files) served.set(`/session/${token}/files/${path}`, file);
  const index = JSON.stringify({ files: [...files.keys()] });
  const server = createServer((request, response) => {
    const host = request.headers.host?.replace(/:\d+$/, '');
    if (host !== '127.0.0.1' && host !== 'localhost') return refuse(response, 403);
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405);
    const path = pathOf(request);
    if (path === `/session/${token}/index.json`)
      return response.writeHead(200, { 'content-type': 'application/json' }).end(index);
    const file = served.get(path);
    return file === undefined ? refuse(response, 404) : send(request, response, file);
  });
  await new Promise<void>((done, fail) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      fail(
        error.code === 'EADDRINUSE'
          ? new InputError(`--port ${port}: another program listens there. Give another one, or none.`)
          : error,
      ),
    );
    server.listen(port, '127.0.0.1', done);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/?session=${token}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

/** '' for what is no path. */
function pathOf({ url = '/' }: IncomingMessage): string {
  try {
    const path = decodeURIComponent(url.split('?')[0]);
    return path === '/' ? '/index.html' : path;
  } catch {
    return '';
  }
}

function refuse(response: ServerResponse, status: number): void {
  response.writeHead(status).end();
}

function send(request: IncomingMessage, response: ServerResponse, file: string): void {
  const stat = statSync(file, { throwIfNoEntry: false });
  // A run goes on and removes old checkpoints while it is looked at.
  if (stat === undefined) {
    refuse(response, 404);
    return;
  }
  const { size } = stat;
  const headers = {
    'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    'accept-ranges': 'bytes',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  };
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const start = range === null ? 0 : Number(range[1]);
  const end = range === null || range[2] === '' ? size - 1 : Math.min(size - 1, Number(range[2]));
  if (range !== null && start > end) {
    response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
    return;
  }
  response.writeHead(range === null ? 200 : 206, {
    ...headers,
    'content-length': Math.max(0, end - start + 1),
    ...(range === null ? {} : { 'content-range': `bytes ${start}-${end}/${size}` }),
  });
  if (request.method === 'HEAD' || size === 0) response.end();
  else
    createReadStream(file, { start, end })
      .on('error', () => response.destroy())
      .pipe(response);
}
