/** What every route needs of node:http: bodies within a limit, answers in JSON or as events, errors in OpenAI's form. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** An answer other than 200. */
export class HttpError extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The field of the request that is wrong. */
  readonly param: string | null;

  constructor(
    status: number,
    message: string,
    {
      param = null,
      headers = {},
    }: { param?: string | null; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.status = status;
    this.param = param;
    this.headers = headers;
  }
}

/** OpenAI's names for kinds of errors. */
const ERROR_TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
  500: 'server_error',
  503: 'server_error',
  504: 'timeout_error',
};

/** The body of an error, as OpenAI's clients read it. */
export function errorBody(error: HttpError): object {
  const type = ERROR_TYPES[error.status] ?? 'invalid_request_error';
  return { error: { message: error.message, type, param: error.param, code: null } };
}

/** @throws HttpError 413 for more than `limit` bytes, 400 for what is not JSON or breaks off */
export async function readJson(request: IncomingMessage, limit: number): Promise<unknown> {
  const text = await readBody(request, limit);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new HttpError(
      400,
      `The body is not JSON: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** What is too large is read on without being kept: a client that is still sending would not see the answer. */
function readBody(request: IncomingMessage, limit: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
      else chunks.length = 0;
    });
    request.once('end', () => {
      if (size <= limit) resolve(Buffer.concat(chunks).toString('utf8'));
      else
        reject(
          new HttpError(413, `The body is larger than ${limit} bytes; send less, or raise --max-body-bytes.`),
        );
    });
    request.once('close', () => reject(new HttpError(400, 'The body breaks off.')));
  });
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
}

/** Server-sent events: 'data: JSON', and at the end 'data: [DONE]'. */
export class EventStream {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      connection: 'keep-alive',
    });
  }

  /** Waits while the client is slower than the model. */
  async send(body: object): Promise<void> {
    if (this.#response.write(`data: ${JSON.stringify(body)}\n\n`) || this.#response.destroyed) return;
    await new Promise<void>((resolve) => {
      const goOn = () => {
        this.#response.off('drain', goOn).off('close', goOn);
        resolve();
      };
      this.#response.on('drain', goOn).on('close', goOn);
    });
  }

  end(): void {
    this.#response.end('data: [DONE]\n\n');
  }
}
