/** An OpenAI-compatible server over one model. Whatever model a request names, the one that is loaded answers. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { InputError } from '../errors.ts';
import { templateOf } from '../generate/text-model.ts';
import type { Served } from './answer.ts';
import { sendChat, startChat, streamChat } from './chat.ts';
import { sendCompletion, startCompletion, streamCompletion } from './completions.ts';
import { EventStream, errorBody, HttpError, readJson, sendJson } from './http.ts';
import { RequestCounts } from './metrics.ts';

export interface ServeOptions extends Served {
  /** Where to listen; a loopback address unless there is a key. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly apiKey?: string;
  /** Requests being answered or waiting at the same time; further ones get 429. */
  readonly maxRequests: number;
  readonly maxBodyBytes: number;
  /** Milliseconds until an answer is given up. */
  readonly timeout: number;
  /** Told what went wrong on our side. */
  readonly log: (line: string) => void;
}

export interface RunningServer {
  /** 'http://127.0.0.1:8000' */
  readonly url: string;
  /** Takes no more requests, waits up to `grace` milliseconds for those that are being answered, and ends the rest. */
  stop(grace: number): Promise<void>;
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

/** @throws InputError for an address that others can reach, without a key */
export function checkAddress({ host, apiKey }: Pick<ServeOptions, 'host' | 'apiKey'>): void {
  if (LOOPBACK.has(host) || apiKey) return;
  throw new InputError(`--host ${host} can be reached by others: give an --api-key (or PREFGRAD_API_KEY).`);
}

/** @throws InputError for an address that others can reach, without a key, or one that cannot be had */
export async function serve(options: ServeOptions): Promise<RunningServer> {
  const { host, port } = options;
  checkAddress(options);
  const handler = new Handler(options);
  const server = createServer((request, response) => void handler.handle(request, response));
  server.headersTimeout = 10_000;
  server.requestTimeout = 60_000;
  // Longer than clients and proxies keep an idle connection: one that is closed just as a request is sent on it is an error there.
  server.keepAliveTimeout = 75_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        new InputError(
          `Cannot listen on ${host}:${port} (${error.code ?? error.message}); try another --port.`,
        ),
      );
    });
    server.listen(port, host, resolve);
  });
  const { port: actual } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    stop: (grace) => stop(server, handler, grace),
  };
}

async function stop(server: Server, handler: Handler, grace: number): Promise<void> {
  handler.isStopping = true;
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  // A connection may become idle after its answer.
  const sweep = setInterval(() => server.closeIdleConnections(), 50);
  const timer = setTimeout(() => {
    handler.cancelAll();
    server.closeAllConnections();
  }, grace);
  await closed;
  clearInterval(sweep);
  clearTimeout(timer);
}

/** Answers while it can be cancelled. */
interface Work {
  readonly answer: { cancel(): void };
}

class Handler {
  isStopping = false;
  readonly #options: ServeOptions;
  readonly #template: ReturnType<typeof templateOf>;
  readonly #counts = new RequestCounts();
  readonly #live = new Set<Work>();
  readonly #started = Math.floor(Date.now() / 1000);

  constructor(options: ServeOptions) {
    this.#options = options;
    this.#template = templateOf(options.tokenizer);
  }

  cancelAll(): void {
    for (const { answer } of this.#live) answer.cancel();
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pathname = pathOf(request.url ?? '/');
    const route = ROUTES.has(pathname) ? pathname : 'other';
    try {
      await this.#route(pathname, request, response);
    } catch (error) {
      this.#sendError(response, error);
    } finally {
      // 499: the client left before there was an answer.
      this.#counts.count(route, response.headersSent ? response.statusCode : 499);
    }
  }

  async #route(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = ROUTES.get(path) ?? (path.startsWith('/v1/models/') ? 'GET' : undefined);
    if (method === undefined)
      throw new HttpError(404, `There is no ${path}; there are ${[...ROUTES.keys()].join(', ')}.`);
    if (request.method !== method)
      throw new HttpError(405, `${path} takes ${method} only.`, { headers: { allow: method } });
    if (path === '/health') {
      const status = this.isStopping ? 'stopping' : this.#options.engine.isClosed ? 'failed' : 'ok';
      sendJson(response, status === 'ok' ? 200 : 503, { status });
      return;
    }
    this.#authorize(request);
    if (path === '/metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' });
      response.end(this.#counts.text(this.#options.engine));
    } else if (path === '/v1/models') sendJson(response, 200, { object: 'list', data: [this.#model()] });
    else if (method === 'GET') sendJson(response, 200, this.#model());
    else await this.#generate(path, request, response);
  }

  #model(): object {
    return { id: this.#options.name, object: 'model', created: this.#started, owned_by: 'prefgrad' };
  }

  async #generate(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.isStopping)
      throw new HttpError(503, 'The server is stopping.', { headers: { connection: 'close' } });
    const { maxRequests, maxBodyBytes } = this.#options;
    if (this.#counts.active >= maxRequests)
      throw new HttpError(429, `${maxRequests} requests are being answered already; try again later.`, {
        headers: { 'retry-after': '1' },
      });
    this.#counts.active++;
    try {
      const body = await readJson(request, maxBodyBytes);
      if (path === '/v1/completions') {
        const completion = startCompletion(this.#options, body);
        await this.#deliver(response, completion, completion.body.stream === true, {
          send: () => sendCompletion(this.#options, completion),
          stream: (events) => streamCompletion(this.#options, completion, events),
        });
      } else {
        const chat = startChat(this.#options, this.#template, body);
        await this.#deliver(response, chat, chat.body.stream === true, {
          send: () => sendChat(this.#options, chat),
          stream: (events) => streamChat(this.#options, chat, events),
        });
      }
    } finally {
      this.#counts.active--;
    }
  }

  /** Sends an answer; gives it up when the client goes away or time runs out. */
  async #deliver(
    response: ServerResponse,
    work: Work,
    isStreamed: boolean,
    by: { send(): Promise<object>; stream(events: EventStream): Promise<void> },
  ): Promise<void> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      work.answer.cancel();
    }, this.#options.timeout);
    const giveUp = () => work.answer.cancel();
    response.once('close', giveUp);
    this.#live.add(work);
    const checkTime = () => {
      if (isLate) throw new HttpError(504, `The answer took longer than ${this.#options.timeout / 1000} s.`);
      if (this.isStopping && response.destroyed) throw new HttpError(503, 'The server is stopping.');
    };
    try {
      if (isStreamed) {
        const events = new EventStream(response);
        await by.stream(events);
        checkTime();
        events.end();
      } else {
        const body = await by.send();
        checkTime();
        sendJson(response, 200, body);
      }
    } finally {
      clearTimeout(timer);
      response.removeListener('close', giveUp);
      this.#live.delete(work);
    }
  }

  #authorize(request: IncomingMessage): void {
    const { apiKey } = this.#options;
    if (apiKey === undefined) return;
    const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    // Digests are of one length, so that comparing them tells nothing.
    const digest = (text: string) => createHash('sha256').update(text).digest();
    if (!timingSafeEqual(digest(given), digest(apiKey)))
      throw new HttpError(401, 'The API key is missing or wrong; send it as "Authorization: Bearer KEY".');
  }

  #sendError(response: ServerResponse, thrown: unknown): void {
    const error =
      thrown instanceof HttpError ? thrown : new HttpError(500, 'The server failed; its log says why.');
    if (error !== thrown)
      this.#options.log(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
    if (response.destroyed) return;
    if (response.headersSent) {
      // The stream ends without [DONE]; its last event says why.
      response.end(`data: ${JSON.stringify(errorBody(error))}\n\n`);
      return;
    }
    sendJson(response, error.status, errorBody(error), error.headers);
  }
}

/** The path of a request's target, also of a whole URL; '//' is no URL for `new URL`, but a target that a client may send. */
const pathOf = (target: string): string => target.replace(/^https?:\/\/[^/?#]*/i, '').split(/[?#]/)[0];

const ROUTES: ReadonlyMap<string, string> = new Map([
  ['/health', 'GET'],
  ['/metrics', 'GET'],
  ['/v1/models', 'GET'],
  ['/v1/completions', 'POST'],
  ['/v1/chat/completions', 'POST'],
]);
