/** The server's memory over 2,000 requests, streamed, aborted and refused ones among them. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { testGpu } from '../support/gpu.ts';
import { openServer } from './served.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const REQUESTS = 2000;
/** Requests before the first measurement: pools, programs and compiled code are there then. */
const WARM = 400;

it('stays flat', async () => {
  const gpu = await testGpu();
  const server = await openServer();
  const { client } = server;
  const ask = async (i: number) => {
    const body = {
      model: 'm',
      prompt: [1, 403, 407, 261, 378].slice(0, 1 + (i % 5)),
      max_tokens: 2 + (i % 7),
      seed: i,
    };
    if (i % 10 === 3)
      await expect(client.completions.create({ ...body, temperature: -1 })).rejects.toThrow('400');
    else if (i % 10 === 6) {
      const stream = await client.completions.create({ ...body, max_tokens: 60, stream: true });
      for await (const _ of stream) break;
    } else await client.completions.create({ ...body, logprobs: i % 3 });
  };
  const run = async (from: number, to: number) => {
    let next = from;
    const worker = async () => {
      while (next < to) await ask(next++);
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    await expect
      .poll(() => server.engine.statistics, { timeout: 20_000 })
      .toMatchObject({ running: 0, blocksUsed: 0 });
    collectGarbage();
    return { heap: process.memoryUsage().heapUsed, gpu: gpu.memory.current };
  };
  const before = await run(0, WARM);
  const after = await run(WARM, REQUESTS);
  // A program for a batch of a size that had not come before takes some KiB of inputs.
  expect(after.gpu - before.gpu).toBeLessThan(2 ** 18);
  // What 1,600 requests may leave on the heap: 2 KiB each.
  expect(after.heap - before.heap).toBeLessThan(1600 * 2048);
  expect(server.log).toEqual([]);
  await server.close();
});
