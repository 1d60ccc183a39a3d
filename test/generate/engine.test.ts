/** The engine: what a text becomes does not depend on what else is in the batch, and memory follows tokens in use. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Engine, type EngineOptions } from '../../src/generate/engine.ts';
import { generate } from '../../src/generate/generator.ts';
import { type LoadedModel, loadModel } from '../../src/models/loading/load.ts';
import { testGpu } from '../support/gpu.ts';
import { type Answer, all, answers, GREEDY, PROMPT, PROMPTS, requests, SAMPLED } from './answers.ts';

const gpu = await testGpu();
let loaded: LoadedModel;
const engines: Engine[] = [];

beforeAll(async () => {
  loaded = await loadModel(gpu, 'examples/stories260K', { train: 'none', dtype: 'f32', positions: 512 });
});
afterAll(async () => {
  for (const engine of engines) await engine.close();
  loaded.free();
});

function open(options: EngineOptions = {}): Engine {
  const engine = new Engine(gpu, loaded.model, { maxSequences: 4, maxPositions: 128, ...options });
  engines.push(engine);
  return engine;
}

describe('a text', () => {
  it('is the greedy one that PyTorch finds', async () => {
    const [[{ tokens, reason }]] = await all(open(), [{ prompt: PROMPT, maxTokens: GREEDY.length }]);
    expect(tokens).toEqual(GREEDY);
    expect(reason).toBe('length');
  });

  it.each([
    ['greedy', {}],
    ['sampled', SAMPLED],
  ])('has the same bits alone and in any company (%s)', async (_, sampling) => {
    const together = await all(open(), requests(sampling));
    const one = open({ maxSequences: 1 });
    const alone: Answer[][] = [];
    for (const request of requests(sampling)) alone.push(...(await all(one, [request])));
    expect(together).toEqual(alone);
  });

  it('is drawn again, not told again, when memory ran out on the way', async () => {
    const tight = open({ cacheBytes: 8 * (2 * 5 * 4 * 16 * 32) });
    const found = await all(tight, requests(SAMPLED).slice(0, 5));
    expect(tight.statistics.preemptions).toBeGreaterThan(0);
    expect(tight.statistics.blocksHeld).toBeLessThanOrEqual(9);
    expect(found).toEqual(await all(open(), requests(SAMPLED).slice(0, 5)));
  });

  it('goes on when the cache grows under it', async () => {
    const long = PROMPTS.slice(0, 5).map((prompt) => ({ prompt, maxTokens: 112, sampling: SAMPLED }));
    const engine = open({ maxSequences: 5 });
    const together = await all(engine, long);
    expect(engine.statistics.blocksHeld).toBeGreaterThan(32);
    const one = open({ maxSequences: 1 });
    for (const i of [0, 3]) expect(await all(one, [long[i]])).toEqual([together[i]]);
    expect(one.statistics.blocksHeld).toBeLessThan(32);
  });

  it('differs among the samples of one prompt, and is that of its stream', async () => {
    const sampling = { temperature: 1, seed: 11 };
    const request = { prompt: PROMPTS[5], maxTokens: 12, sampling };
    const [together] = await all(open(), [{ ...request, n: 6 }]);
    expect(new Set(together.map(({ tokens }) => tokens.join())).size).toBe(6);
    const [[third]] = await all(open(), [{ ...request, firstSample: 2 }]);
    expect(third.tokens).toEqual(together[2].tokens);
  });

  it('ends with a stop id, which is told, or where the reader says so', async () => {
    const request = { prompt: PROMPT, maxTokens: 18 };
    const accept = (_: number, token: number) => token !== 298;
    const [[byId], [byReader]] = await all(open(), [
      { ...request, stopIds: [261] },
      { ...request, accept },
    ]);
    expect(byId).toMatchObject({ tokens: GREEDY.slice(0, 4), reason: 'stop' });
    expect(byReader).toMatchObject({ tokens: GREEDY.slice(0, 6), reason: 'stop' });
  });

  it("ends where the model's positions do", async () => {
    const [[{ tokens, reason }]] = await all(open({ maxPositions: 20 }), [
      { prompt: PROMPT, maxTokens: 100 },
    ]);
    expect(tokens).toEqual(GREEDY.slice(0, 15));
    expect(reason).toBe('length');
  });
});

describe('log-probs', () => {
  it('of a prompt are those that its tokens have when they are drawn', async () => {
    const [[drawn]] = await all(open(), [{ prompt: PROMPT, maxTokens: 12, logprobs: 5 }]);
    const events = [];
    const prompt = [...PROMPT, ...drawn.tokens];
    for await (const event of open().submit({ prompt, maxTokens: 0, promptLogprobs: true }))
      events.push(event);
    expect(events.map(({ kind }) => kind)).toEqual(['prompt', 'end']);
    const [told] = events;
    if (told.kind !== 'prompt') throw new Error('The first event is not the prompt.');
    const own = told.tokens.slice(PROMPT.length - 1);
    expect(told.tokens.map(({ token }) => token)).toEqual(prompt.slice(1));
    own.forEach((token, i) => {
      expect(token.logprob).toBeCloseTo(drawn.scored[i]?.logprob ?? Number.NaN, 4);
      expect(token.top.map((t) => t.token)).toEqual(drawn.scored[i]?.top.map((t) => t.token));
      // Greedy: the token is the most probable one, to the bit.
      expect(token.logprob).toBe(token.top[0].logprob);
    });
  });
});

describe('memory', () => {
  it('of a shared prompt is held once, follows tokens in use, and is given back', async () => {
    const engine = open();
    const prompt = PROMPTS[5];
    const used: number[] = [];
    const accept = () => {
      used.push(engine.statistics.blocksUsed);
      return true;
    };
    await answers(engine.submit({ prompt, n: 4, maxTokens: 4, accept }), 4);
    // 39 shared tokens in 3 blocks, and a block for each of four.
    expect(Math.max(...used)).toBe(7);
    expect(engine.statistics).toMatchObject({ running: 0, waiting: 0, blocksUsed: 0, promptTokens: 40 });
  });

  it('is given back when the reader leaves, and others go on', async () => {
    const engine = open();
    const other = answers(engine.submit({ prompt: PROMPT, maxTokens: 18 }));
    for await (const event of engine.submit({ prompt: PROMPTS[3], maxTokens: 100, n: 2 }))
      if (event.kind === 'token') break;
    const cancelled = engine.submit({ prompt: PROMPTS[2], maxTokens: 100 });
    cancelled.cancel();
    expect((await answers(cancelled))[0].reason).toBe('cancelled');
    expect((await other)[0].tokens).toEqual(GREEDY);
    expect(engine.statistics).toMatchObject({ running: 0, waiting: 0, blocksUsed: 0 });
  });

  it('is all free again when the engine is closed', async () => {
    const before = gpu.memory.current;
    const engine = open();
    await answers(engine.submit({ prompt: PROMPT, maxTokens: 3 }));
    const waiting = answers(engine.submit({ prompt: PROMPT, maxTokens: 100 }));
    await engine.close();
    expect((await waiting)[0].reason).toBe('cancelled');
    expect(gpu.memory.byKind.get('cache') ?? 0).toBeLessThanOrEqual(before);
    expect(() => engine.submit({ prompt: PROMPT, maxTokens: 1 })).toThrow('closed');
  });
});

describe('requests that cannot be answered', () => {
  it.each([
    [{ prompt: [] }, 'no tokens'],
    [{ prompt: [1, 512] }, 'Token id 512 lies outside'],
    [{ prompt: [1, -1] }, 'Token id -1 lies outside'],
    [{ prompt: new Array(128).fill(5) }, 'has 128 tokens, but the model has 128 positions'],
    [{ n: 0 }, 'at least one continuation'],
    [{ maxTokens: -1 }, 'maxTokens is -1'],
    [{ logprobs: 21 }, 'logprobs is 21'],
  ])('are refused: %j', (wrong, message) => {
    expect(() => open().submit({ prompt: PROMPT, maxTokens: 4, ...wrong })).toThrow(message);
  });

  it('are refused where they would never fit the cache', () => {
    const engine = open({ cacheBytes: 3 * (2 * 5 * 4 * 16 * 32) });
    expect(() => engine.submit({ prompt: PROMPT, maxTokens: 100 })).toThrow('does not fit the cache');
  });
});

describe('a list of prompts', () => {
  it('is continued in its order whatever the batch size', async () => {
    const options = { ...SAMPLED, maxNewTokens: 8, eosIds: [2], adapter: false };
    const alone = await generate(gpu, loaded.model, PROMPTS, { ...options, batchSize: 1 });
    const told: number[][] = PROMPTS.map(() => []);
    const together = await generate(gpu, loaded.model, PROMPTS, {
      ...options,
      batchSize: 5,
      onToken: (token, i) => told[i].push(token),
    });
    expect(together).toEqual(alone);
    expect(told).toEqual(alone);
    await expect(generate(gpu, loaded.model, [PROMPT, []], { ...options, batchSize: 2 })).rejects.toThrow(
      'Prompt 2: The prompt has no tokens',
    );
  });
});
