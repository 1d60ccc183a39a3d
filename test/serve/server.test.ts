/** The server as OpenAI's own client, lm-evaluation-harness and rude clients see it. */
import { get } from 'node:http';
import { connect } from 'node:net';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import lmEval from '../fixtures/lm-eval/requests.json' with { type: 'json' };
import { openServer, type TestServer } from './served.ts';

const ONCE = 'Once upon a time';
const PROMPT = [1, 403, 407, 261, 378];
const GREEDY = [432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426, 338, 401, 396, 267, 337, 410, 408];

let server: TestServer;
/** What the greedy ids say. */
let text: string;
beforeAll(async () => {
  server = await openServer();
  text = server.tokenizer.decode(GREEDY);
});
afterAll(() => server.close());

const post = (path: string, body: unknown, init: RequestInit = {}) =>
  fetch(`${server.url}${path}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
    ...init,
  });

const isIdle = () =>
  expect
    .poll(() => server.engine.statistics, { timeout: 20_000 })
    .toMatchObject({
      running: 0,
      waiting: 0,
      blocksUsed: 0,
    });

describe('completions', () => {
  const greedy = { model: 'any name', temperature: 0, max_tokens: GREEDY.length };

  it('are the greedy text of a string, of ids, and of lists of both', async () => {
    const one = await server.client.completions.create({ ...greedy, prompt: ONCE });
    expect(one).toMatchObject({
      object: 'text_completion',
      model: 'stories',
      choices: [{ index: 0, text, finish_reason: 'length', logprobs: null }],
      usage: { prompt_tokens: 5, completion_tokens: GREEDY.length, total_tokens: 5 + GREEDY.length },
    });
    for (const prompt of [PROMPT, [ONCE, ONCE], [PROMPT, PROMPT]]) {
      const { choices } = await server.client.completions.create({ ...greedy, prompt });
      expect(choices.map((choice) => choice.text)).toEqual(choices.map(() => text));
      expect(choices.map(({ index }) => index)).toEqual(choices.map((_, i) => i));
    }
  });

  it('stream the same text', async () => {
    const stream = await server.client.completions.create({
      ...greedy,
      prompt: [PROMPT, PROMPT],
      stream: true,
      stream_options: { include_usage: true },
      logprobs: 0,
    } as OpenAI.CompletionCreateParamsStreaming);
    const texts = ['', ''];
    const offsets: number[] = [];
    let last: OpenAI.Completion | undefined;
    for await (const chunk of stream) {
      for (const { index, text: piece, logprobs } of chunk.choices) {
        texts[index] += piece;
        if (index === 0) offsets.push(...(logprobs?.text_offset ?? []));
      }
      last = chunk;
    }
    expect(texts).toEqual([text, text]);
    expect(offsets.length).toBe(GREEDY.length);
    expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
    expect(last?.usage).toMatchObject({ prompt_tokens: 10, completion_tokens: 2 * GREEDY.length });
  });

  it('end before a stop string', async () => {
    const stop = text.slice(12, 19);
    const { choices } = await server.client.completions.create({
      ...greedy,
      prompt: ONCE,
      stop: ['zzz', stop],
    });
    expect(choices[0]).toMatchObject({ text: text.slice(0, text.indexOf(stop)), finish_reason: 'stop' });
  });

  it('are the same for the same seed, and n of them differ', async () => {
    const ask = async (seed: number) => {
      const body = { model: 'm', prompt: ONCE, max_tokens: 12, n: 3, seed, top_p: 0.98 };
      const { choices } = await server.client.completions.create(body);
      return choices.map((choice) => choice.text);
    };
    const [first, again, other] = [await ask(5), await ask(5), await ask(6)];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    expect(new Set(first).size).toBe(3);
  });
});

describe('lm-evaluation-harness', () => {
  it('finds the log-likelihood of a continuation, and whether it is the greedy one', async () => {
    const answer = (await (await post('/v1/completions', lmEval.loglikelihood)).json()) as OpenAI.Completion;
    const { prompt } = lmEval.loglikelihood;
    // As LocalCompletionsAPI.parse_logprobs reads it.
    const found = answer.choices.map(({ index, logprobs }) => {
      const [tokens, top] = [logprobs?.token_logprobs ?? [], logprobs?.top_logprobs ?? []];
      expect(tokens.length).toBe(prompt[index].length + 1);
      expect(tokens[0]).toBeNull();
      const own = tokens.slice(lmEval.context_lengths[index], -1);
      const mostProbable = top
        .slice(lmEval.context_lengths[index], -1)
        .map((t) => Math.max(...Object.values(t)));
      return {
        sum: own.reduce((a, b) => a + b, 0),
        isGreedy: own.every((logprob, i) => logprob === mostProbable[i]),
      };
    });
    expect(found.map(({ isGreedy }) => isGreedy)).toEqual([true, false, false]);
    expect(found[0].sum).toBeGreaterThan(found[1].sum);
    expect(answer.choices[0].text.startsWith(ONCE)).toBe(true);
    // The same sums, drawn instead of read.
    const drawn = await server.client.completions.create({
      model: 'm',
      prompt: prompt[0].slice(0, 5),
      max_tokens: 2,
      temperature: 0,
      logprobs: 1,
    });
    const sum = drawn.choices[0].logprobs?.token_logprobs?.reduce((a, b) => a + b, 0);
    expect(found[0].sum).toBeCloseTo(sum ?? Number.NaN, 4);
  });

  it('gets texts up to its stop strings, in order', async () => {
    const answer = (await (await post('/v1/completions', lmEval.generate_until)).json()) as OpenAI.Completion;
    expect(answer.choices.map(({ index }) => index)).toEqual([0, 1]);
    for (const choice of answer.choices) expect(choice.text).not.toContain('.');
    expect(text.startsWith(answer.choices[0].text) || answer.choices[0].text.startsWith(text)).toBe(true);
  });
});

describe('chats', () => {
  const messages: OpenAI.ChatCompletionMessageParam[] = [
    { role: 'system', content: 'Tell stories.' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Once ' },
        { type: 'text', text: 'upon a time' },
      ],
    },
  ];
  const prompt = '<s>system: Tell stories.\nuser: Once upon a time\nassistant:';

  it('are continued behind what the template makes of them', async () => {
    const chat = await server.client.chat.completions.create({
      model: 'm',
      messages,
      temperature: 0,
      max_completion_tokens: 10,
    });
    const ids = server.tokenizer.encodeTemplated(prompt);
    const plain = await server.client.completions.create({
      model: 'm',
      prompt: ids,
      temperature: 0,
      max_tokens: 10,
    });
    expect(chat.choices[0].message).toMatchObject({ role: 'assistant', content: plain.choices[0].text });
    expect(chat.usage?.prompt_tokens).toBe(ids.length);
  });

  it('stream the same, with log-probs', async () => {
    const body = { model: 'm', messages, n: 2, seed: 9, max_tokens: 10, logprobs: true, top_logprobs: 3 };
    const whole = await server.client.chat.completions.create(body);
    const stream = await server.client.chat.completions.create({ ...body, stream: true });
    const [texts, scored, reasons] = [['', ''], [[], []] as OpenAI.ChatCompletionTokenLogprob[][], ['', '']];
    for await (const { choices } of stream) {
      for (const { index, delta, logprobs, finish_reason } of choices) {
        texts[index] += delta.content ?? '';
        scored[index].push(...(logprobs?.content ?? []));
        reasons[index] = finish_reason ?? reasons[index];
      }
    }
    expect(texts).toEqual(whole.choices.map(({ message }) => message.content));
    expect(scored).toEqual(whole.choices.map(({ logprobs }) => logprobs?.content));
    expect(reasons).toEqual(whole.choices.map(({ finish_reason }) => finish_reason));
    expect(scored[0][0].top_logprobs.length).toBe(3);
    expect(scored[0].every(({ token, bytes }) => Buffer.from(bytes ?? []).toString() === token)).toBe(true);
  });
});

describe('many requests', () => {
  it('at the same time get what each gets alone', async () => {
    const ask = (i: number) =>
      server.client.completions
        .create({ model: 'm', prompt: PROMPT.slice(0, 1 + (i % 5)), max_tokens: 4 + (i % 9), seed: i })
        .then(({ choices }) => choices[0].text);
    const together = await Promise.all(Array.from({ length: 50 }, (_, i) => ask(i)));
    for (const i of [0, 17, 49]) expect(together[i]).toBe(await ask(i));
    await isIdle();
  });

  it('beyond the limit get 429, and aborted ones make place', async () => {
    const small = await openServer({ maxRequests: 2 });
    const body = { model: 'm', prompt: ONCE, max_tokens: 250, ignore_eos: true };
    const aborts = [new AbortController(), new AbortController()];
    const pending = aborts.map(({ signal }) =>
      small.client.completions.create(body, { signal }).catch((error: unknown) => error),
    );
    await expect.poll(() => small.engine.statistics.running).toBe(2);
    await expect(small.client.completions.create(body)).rejects.toThrow(OpenAI.RateLimitError);
    for (const abort of aborts) abort.abort();
    for (const error of await Promise.all(pending)) expect(error).toBeInstanceOf(OpenAI.APIUserAbortError);
    await expect.poll(() => small.engine.statistics).toMatchObject({ running: 0, blocksUsed: 0 });
    const { choices } = await small.client.completions.create({ ...body, max_tokens: 2 });
    expect(choices.length).toBe(1);
    expect(small.log).toEqual([]);
    await small.close();
  });

  it('are ended when the reader of a stream leaves', async () => {
    const stream = await server.client.chat.completions.create({
      model: 'm',
      messages: [{ role: 'user', content: 'Hi' }],
      max_tokens: 200,
      stream: true,
    });
    for await (const chunk of stream) if (chunk.choices[0].delta.content) break;
    await isIdle();
  });
});

describe('requests that cannot be answered', () => {
  it.each([
    ['/v1/completions', 'not JSON', '{"prompt": '],
    ['/v1/completions', 'prompt: expected a string', {}],
    ['/v1/completions', 'prompt: expected a string', { prompt: [] }],
    ['/v1/completions', 'prompt: expected a string', { prompt: [[1], 'a'] }],
    ['/v1/completions', 'Token id 600 lies outside', { prompt: [1, 600] }],
    [
      '/v1/completions',
      'has 300 tokens, but the model has 256 positions',
      { prompt: new Array(300).fill(5) },
    ],
    ['/v1/completions', 'temperature: ', { prompt: 'a', temperature: -1 }],
    ['/v1/completions', 'frequency_penalty: not supported', { prompt: 'a', frequency_penalty: 1 }],
    ['/v1/completions', 'echo: is not supported with stream', { prompt: 'a', echo: true, stream: true }],
    ['/v1/completions', 'best_of: ', { prompt: 'a', best_of: 3 }],
    ['/v1/chat/completions', 'messages: ', { messages: [] }],
    [
      '/v1/chat/completions',
      'messages.0.content: expected text',
      { messages: [{ role: 'user', content: 5 }] },
    ],
    [
      '/v1/chat/completions',
      'tools: not supported',
      { messages: [{ role: 'user', content: 'a' }], tools: [{}] },
    ],
    [
      '/v1/chat/completions',
      'needs logprobs',
      { messages: [{ role: 'user', content: 'a' }], top_logprobs: 2 },
    ],
  ])('get 400 and the reason: %s, %s', async (path, message, body) => {
    const response = await post(path, body);
    const { error } = (await response.json()) as { error: { message: string; type: string } };
    expect(response.status).toBe(400);
    expect(error).toMatchObject({ message: expect.stringContaining(message), type: 'invalid_request_error' });
  });

  it('get 404, 405 and 413', async () => {
    expect((await fetch(`${server.url}/v1/embeddings`)).status).toBe(404);
    const wrongMethod = await fetch(`${server.url}/v1/completions`);
    expect([wrongMethod.status, wrongMethod.headers.get('allow')]).toEqual([405, 'POST']);
    expect((await post('/v1/completions', { prompt: 'a'.repeat(2 ** 20) })).status).toBe(413);
  });

  it('that break off or are no HTTP do no harm', async () => {
    const { port } = new URL(server.url);
    for (const bytes of [
      'POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{"pro',
      'rubbish\r\n\r\n',
      'GET // HTTP/1.1\r\nHost: x\r\n\r\n',
    ]) {
      await new Promise<void>((resolve) => {
        const socket = connect(Number(port), '127.0.0.1', () => {
          socket.write(bytes);
          setTimeout(() => socket.destroy(), 50);
        });
        socket.on('error', () => {});
        socket.on('close', () => resolve());
      });
    }
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    expect(server.log).toEqual([]);
  });
});

describe('the server', () => {
  it('says what it serves, how it is, and what it did', async () => {
    const { data } = await server.client.models.list();
    expect(data).toMatchObject([{ id: 'stories', object: 'model' }]);
    expect(await (await fetch(`${server.url}/health`)).json()).toEqual({ status: 'ok' });
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toMatch(/prefgrad_requests_total\{route="\/v1\/completions",status="200"\} \d+/);
    expect(metrics).toMatch(/prefgrad_generation_tokens_total [1-9]/);
    expect(metrics).toContain('prefgrad_sequences_running 0');
  });

  it('answers a target that is a whole URL, as proxies send it', async () => {
    const { port } = new URL(server.url);
    const status = await new Promise((resolve, reject) => {
      const path = 'http://proxied.example/health?now';
      get({ host: '127.0.0.1', port, path }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', reject);
    });
    expect(status).toBe(200);
  });

  it('asks for its key, except for its health', async () => {
    const locked = await openServer({ apiKey: 'secret' });
    const models = (key?: string) =>
      fetch(`${locked.url}/v1/models`, {
        headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
      });
    expect([
      (await models()).status,
      (await models('wrong')).status,
      (await models('secret')).status,
    ]).toEqual([401, 401, 200]);
    expect((await fetch(`${locked.url}/health`)).status).toBe(200);
    expect((await locked.client.models.list()).data.length).toBe(1);
    await locked.close();
  });

  it('listens on this machine only, unless there is a key', async () => {
    await expect(openServer({ host: '0.0.0.0' })).rejects.toThrow('--api-key');
  });

  it('gives up what takes too long', async () => {
    const hasty = await openServer({ timeout: 60 });
    const body = { prompt: ONCE, max_tokens: 240, ignore_eos: true };
    const answer = await fetch(`${hasty.url}/v1/completions`, { method: 'POST', body: JSON.stringify(body) });
    expect(answer.status).toBe(504);
    await expect.poll(() => hasty.engine.statistics.running).toBe(0);
    await hasty.close();
  });

  it('lets answers on their way end when it is stopped', async () => {
    const leaving = await openServer();
    const stream = await leaving.client.completions.create({
      model: 'm',
      prompt: ONCE,
      max_tokens: 30,
      stream: true,
    });
    let stopped: Promise<void> | undefined;
    let reason: string | null = null;
    for await (const { choices } of stream) {
      stopped ??= leaving.stop(20_000);
      reason = choices[0].finish_reason ?? reason;
    }
    await stopped;
    expect(reason).toMatch(/length|stop/);
    await expect(fetch(`${leaving.url}/health`)).rejects.toThrow();
    await leaving.engine.close();
  });
});
