import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.ts';
import { BudgetError, type Limits } from '../../src/llm/budget.ts';
import { LlmClient } from '../../src/llm/client.ts';
import { Estimate } from '../../src/llm/estimate.ts';
import { readRetryAfter } from '../../src/llm/http.ts';
import { UsageLedger } from '../../src/llm/ledger.ts';
import type { LlmRequest } from '../../src/llm/request.ts';
import { LlmError, pause } from '../../src/llm/retry.ts';
import { endpointSettings } from '../../src/llm/settings.ts';
import { MemoryFiles } from '../../src/runtime/memory-files.ts';
import { completionBody, type LlmCall, type LlmServer, llmServer } from '../support/llm-server.ts';

const ASK: LlmRequest = { messages: [{ role: 'user', content: 'Say hello.' }], maxTokens: 5, temperature: 0 };

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

interface Setup {
  readonly client: LlmClient;
  readonly server: LlmServer;
  readonly waits: number[];
}

async function setup(
  answer: (call: LlmCall, response: ServerResponse, count: number) => string | undefined,
  options: Record<string, unknown> & { files?: MemoryFiles; limits?: Limits; apiKey?: string } = {},
): Promise<Setup> {
  const { files = new MemoryFiles(), limits, apiKey, ...settings } = options;
  const server = await llmServer(answer);
  const waits: number[] = [];
  const client = new LlmClient({
    settings: endpointSettings.parse({ base_url: server.url, model: 'm', timeout_seconds: 5, ...settings }),
    files,
    cache: 'cache',
    limits,
    apiKey,
    wait: async (seconds) => void waits.push(seconds),
  });
  open.push(client, server);
  return { client, server, waits };
}

const texts = (files: MemoryFiles) =>
  files.list('cache').then(async (folders) => {
    const found: string[] = [];
    for (const folder of folders) {
      for (const name of await files.list(`cache/${folder}`))
        found.push(await files.readText(`cache/${folder}/${name}`));
    }
    return found;
  });

describe('a request', () => {
  it('is sent as the official clients send it', async () => {
    const { client, server } = await setup(() => 'hello', { apiKey: 'sk-1' });
    const answer = await client.complete({ ...ASK, topP: 0.9, seed: 3, stop: ['\n'] });
    expect(answer).toEqual({
      text: 'hello',
      finishReason: 'stop',
      promptTokens: 10,
      completionTokens: 5,
      cached: false,
    });
    const [call] = server.calls;
    expect(call.path).toBe('/v1/chat/completions');
    expect(call.body).toEqual({
      model: 'm',
      messages: [{ role: 'user', content: 'Say hello.' }],
      max_tokens: 5,
      temperature: 0,
      top_p: 0.9,
      seed: 3,
      stop: ['\n'],
    });
    expect(call.headers.authorization).toBe('Bearer sk-1');
  });

  it('for a text or for token ids goes to /completions', async () => {
    const { client, server } = await setup(() => ' time');
    await client.complete({ prompt: 'Once', maxTokens: 3, temperature: 0 });
    await client.complete({ prompt: [1, 403], maxTokens: 3, temperature: 0 });
    expect(server.calls.map(({ path, body }) => [path, body.prompt])).toEqual([
      ['/v1/completions', 'Once'],
      ['/v1/completions', [1, 403]],
    ]);
  });

  it('for embeddings gives vectors in the order of the texts', async () => {
    const { client } = await setup((_, response) => {
      const data = [
        { index: 1, embedding: [0, 1] },
        { index: 0, embedding: [1, 0] },
      ];
      response.end(JSON.stringify({ data, usage: { prompt_tokens: 4 } }));
      return undefined;
    });
    expect(await client.embed(['a', 'b'])).toEqual([
      [1, 0],
      [0, 1],
    ]);
  });
});

describe('the cache', () => {
  it('answers a second run without a request, and keeps every raw answer', async () => {
    const files = new MemoryFiles();
    const first = await setup(() => 'hello', { files });
    await first.client.complete(ASK);
    const second = new LlmClient({ settings: first.client.settings, files, cache: 'cache' });
    open.push(second);
    expect(await second.complete(ASK)).toMatchObject({ text: 'hello', cached: true });
    expect(second.usage).toMatchObject({ requests: 0, cached: 1, promptTokens: 0, completionTokens: 0 });
    expect(first.server.calls).toHaveLength(1);
    const [kept] = await texts(files);
    expect(JSON.parse(kept)).toMatchObject({ answer: completionBody('/v1/chat/completions', 'hello') });
  });

  it('does not hold the key', async () => {
    const files = new MemoryFiles();
    const { client } = await setup(() => 'hello', { files, apiKey: 'sk-secret' });
    await client.complete(ASK);
    expect((await texts(files)).join()).not.toContain('sk-secret');
  });

  it('tells requests with different seeds apart, and sends equal ones once', async () => {
    const { client, server } = await setup(() => 'hello');
    await Promise.all([client.complete(ASK), client.complete(ASK), client.complete({ ...ASK, seed: 1 })]);
    expect(server.calls).toHaveLength(2);
    expect(client.usage).toMatchObject({ requests: 2, cached: 1 });
  });

  it('asks again where a file of it is damaged', async () => {
    const files = new MemoryFiles();
    const { client, server } = await setup(() => 'hello', { files });
    await client.complete(ASK);
    const [folder] = await files.list('cache');
    const [name] = await files.list(`cache/${folder}`);
    files.add(`cache/${folder}/${name}`, '{"answer": "hel');
    expect(await client.complete(ASK)).toMatchObject({ text: 'hello', cached: false });
    expect(server.calls).toHaveLength(2);
  });
});

/** Ways to answer badly; undefined as a body cuts the connection. */
const FAULTS: Readonly<Record<string, (response: ServerResponse) => void>> = {
  'HTTP 500': (response) => void response.writeHead(500).end('boom'),
  'HTTP 429': (response) =>
    void response.writeHead(429, { 'retry-after': '7' }).end('{"error": "slow down"}'),
  'rubbish JSON': (response) => void response.end('<html>'),
  'half a JSON': (response) => void response.end('{"choices": [{"mess'),
  'half a stream': (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: {"choices": [{"delta": {"content": "he');
    setImmediate(() => response.destroy());
  },
  'no choices': (response) => void response.end('{"choices": []}'),
  'an empty choice': (response) => void response.end('{"choices": [{"message": {"content": ""}}]}'),
  'a null choice': (response) => void response.end('{"choices": [{"message": {"content": null}}]}'),
  'a closed connection': (response) => void response.destroy(),
};

describe('an endpoint that fails', () => {
  it.each(Object.entries(FAULTS))('%s: is asked again, and its answer counts', async (_, fault) => {
    const { client, server, waits } = await setup((_call, response, count) => {
      if (count > 2) return 'hello';
      fault(response);
      return undefined;
    });
    expect(await client.complete(ASK)).toMatchObject({ text: 'hello' });
    expect(server.calls).toHaveLength(3);
    expect(waits).toHaveLength(2);
    expect(client.usage).toMatchObject({ requests: 1, retries: 2 });
  });

  it.each(Object.entries(FAULTS))(
    '%s, always: is given up after the last try, and nothing is cached',
    async (name, fault) => {
      const files = new MemoryFiles();
      const { client, server } = await setup(
        (_call, response) => {
          fault(response);
          return undefined;
        },
        { files, max_retries: 1 },
      );
      const error = await client.complete(ASK).catch((e: unknown) => e);
      if (!(error instanceof LlmError)) throw error;
      expect(error.attempts).toHaveLength(2);
      expect(error.message).toContain('no answer after 2 tries; the last: ');
      if (name === 'rubbish JSON') expect(error.message).toContain('the answer is not JSON: "<html>"');
      expect(server.calls).toHaveLength(2);
      expect(await files.exists('cache')).toBe(false);
    },
  );

  it('too slowly: says how long it waited', async () => {
    const { client } = await setup(() => undefined, { timeout_seconds: 0.2, max_retries: 0 });
    await expect(client.complete(ASK)).rejects.toThrow('no answer within 0.2 s');
  });

  it('waits as long as the server asks, within the limit', async () => {
    const { client, waits } = await setup(
      (_, response, count) => {
        if (count === 3) return 'hello';
        response.writeHead(429, { 'retry-after': count === 1 ? '7' : '7000' }).end();
        return undefined;
      },
      { max_retry_seconds: 30 },
    );
    await client.complete(ASK);
    expect(waits).toEqual([7, 30]);
  });

  it('with a refusal of this request is not asked again', async () => {
    const { client, server } = await setup((_, response) => {
      response.writeHead(400).end('{"error": {"message": "context length exceeded"}}');
      return undefined;
    });
    await expect(client.complete(ASK)).rejects.toThrow(/no answer after 1 try.*context length exceeded/);
    expect(server.calls).toHaveLength(1);
  });

  it.each([
    [401, 'Set the key in the environment variable OPENAI_API_KEY'],
    [404, 'the base URL, which usually ends in /v1'],
  ])('with %i, as it would every request, is wrong input', async (status, text) => {
    const { client } = await setup((_, response) => void response.writeHead(status).end('no'), {
      apiKey: 'sk-secret',
    });
    const error = await client.complete(ASK).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(InputError);
    expect(String(error)).toContain(text);
    expect(String(error)).not.toContain('sk-secret');
  });
});

describe('pauses', () => {
  it('double, less a random half, up to the limit', () => {
    expect([1, 2, 3, 9].map((n) => pause(n, undefined, 60, 1))).toEqual([0.5, 1, 2, 60]);
    expect(pause(3, undefined, 60, 0)).toBe(1);
  });

  it('are read from seconds and dates', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    expect(readRetryAfter('12', now)).toBe(12);
    expect(readRetryAfter('Thu, 01 Jan 2026 00:00:30 GMT', now)).toBe(30);
    expect(readRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now)).toBe(0);
    expect(readRetryAfter('soon', now)).toBeUndefined();
  });
});

describe('the budget', () => {
  const prices = { input: 1000, output: 2000 };

  it('is the sum of tokens times price', async () => {
    const { client } = await setup(() => 'hello', { prices });
    await client.complete(ASK);
    expect(client.usage).toMatchObject({
      promptTokens: 10,
      completionTokens: 5,
      cost: 0.02,
      estimated: false,
    });
  });

  it('stops before a request that could exceed it, and keeps what was answered', async () => {
    // The first request may cost (7 + 5 x 2) / 1000, and costs 0.02.
    const { client, server } = await setup(() => 'hello', { prices, limits: { maxCost: 0.03 } });
    await client.complete(ASK);
    const second = client.complete({ ...ASK, seed: 2 });
    await expect(second).rejects.toThrow(BudgetError);
    await expect(second).rejects.toThrow('0.0200 are spent. Raise --max-cost');
    expect(server.calls).toHaveLength(1);
    expect(await client.complete(ASK)).toMatchObject({ cached: true });
  });

  it('counts requests under way at the most they can cost', async () => {
    const { client, server } = await setup(() => 'hello', { limits: { maxTokens: 20 } });
    const results = await Promise.allSettled([client.complete(ASK), client.complete({ ...ASK, seed: 2 })]);
    expect(results.map((r) => r.status)).toEqual(['fulfilled', 'rejected']);
    expect(server.calls).toHaveLength(1);
  });

  it('counts answers that could not be used, and tries without an answer as nothing', async () => {
    const { client } = await setup(
      (call, response, count) => {
        if (count === 1) return '';
        if (count === 2) response.writeHead(500).end(completionBody(call.path, 'lost'));
        else if (count === 3) response.end('<html> of 24 characters!');
        else return 'hello';
        return undefined;
      },
      { prices },
    );
    await client.complete(ASK);
    // Two answers that say 10 + 5, and one that does not count: guessed at 7, and at most the 5 that were asked for.
    expect(client.usage).toMatchObject({ requests: 1, retries: 3, promptTokens: 27, completionTokens: 15 });
    expect(client.usage).toMatchObject({ cost: 0.057, estimated: true });
  });

  it('stops between two tries', async () => {
    const { client, server } = await setup(() => '', { prices, limits: { maxCost: 0.03 } });
    await expect(client.complete(ASK)).rejects.toThrow(BudgetError);
    expect(server.calls).toHaveLength(1);
  });

  it('holds over runs, also after one that was killed while it wrote', async () => {
    const files = new MemoryFiles();
    const limits = { maxCost: 0.05 };
    const run = async (resume: boolean) => {
      const made = await setup(() => 'hello', { prices, limits, files });
      const ledger = await UsageLedger.open(files, 'out.usage.jsonl', resume);
      made.client.keepAccounts(ledger);
      return { ...made, ledger };
    };
    const first = await run(false);
    await first.client.complete(ASK);
    await first.ledger.add({ promptTokens: 8, completionTokens: 1 });
    await first.ledger.close();
    const half = await files.append('out.usage.jsonl');
    await half.write('{"prompt_to');
    await half.close();

    const second = await run(true);
    expect(second.client.totalSpending).toMatchObject({ promptTokens: 18, completionTokens: 6, cost: 0.03 });
    await second.client.complete({ ...ASK, seed: 2 });
    expect(second.client.usage.cost).toBe(0.02);
    await expect(second.client.complete({ ...ASK, seed: 3 })).rejects.toThrow('0.0500 are spent');
    await second.ledger.close();
    expect(
      (await files.readText('out.usage.jsonl'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { prompt_tokens: 10, completion_tokens: 5 },
      { prompt_tokens: 8, completion_tokens: 1 },
      { prompt_tokens: 10, completion_tokens: 5 },
    ]);
    expect((await run(false)).client.totalSpending.cost).toBe(0);
  });

  it('names a line of its record that is none', async () => {
    const files = new MemoryFiles();
    files.add('out.usage.jsonl', '{"prompt_tokens": 1, "completion_tokens": 1}\n{"prompt_tokens": "1"}\n');
    await expect(UsageLedger.open(files, 'out.usage.jsonl', true)).rejects.toThrow(
      /^out\.usage\.jsonl:2: is no record of tokens/,
    );
  });

  it('is estimated without a request', async () => {
    const { client, server } = await setup(() => 'hello', { prices });
    await client.complete(ASK);
    const estimate = new Estimate(client);
    await estimate.add(ASK);
    await estimate.add({ ...ASK, seed: 2 });
    expect(estimate).toMatchObject({ requests: 1, cached: 1, promptTokens: 7, mostCompletionTokens: 5 });
    expect(estimate.text).toContain('at most 0.0170 USD');
    expect(server.calls).toHaveLength(1);
  });

  it('guesses where the server does not count', async () => {
    const { client } = await setup((_, response) => {
      response.end('{"choices": [{"text": "twelve chars"}]}');
      return undefined;
    });
    await client.complete({ prompt: 'eight ch', maxTokens: 3, temperature: 0 });
    expect(client.usage).toMatchObject({ promptTokens: 2, completionTokens: 3, estimated: true });
  });
});

describe('the queue', () => {
  it('keeps no more requests under way than it may', async () => {
    let underWay = 0;
    let most = 0;
    const { client } = await setup(
      (call, response) => {
        most = Math.max(most, ++underWay);
        setTimeout(() => {
          underWay--;
          response.end(completionBody(call.path, 'hello'));
        }, 5);
        return undefined;
      },
      { concurrency: 3 },
    );
    await Promise.all(Array.from({ length: 12 }, (_, seed) => client.complete({ ...ASK, seed })));
    expect(most).toBe(3);
  });
});
