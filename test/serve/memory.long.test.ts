/** The server's memory over 2,000 requests, streamed, aborted and refused ones among them. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { APIError } from 'openai';
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
  let refusals = 0;
  const ask = async (i: number) => {
    const body = {
      model: 'm',
      prompt: [1, 403, 407, 261, 378].slice(0, 1 + (i % 5)),
      max_tokens: 2 + (i % 7),
      seed: i,
    };
    // Not by expect().rejects: vitest keeps its promises until the test ends, about 10 KB each with their errors.
    if (i % 10 === 3)
      refusals += await client.completions.create({ ...body, temperature: -1 }).then(
        () => 0,
        ({ status }: APIError) => Number(status === 400),
      );
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
  expect(refusals).toBe(REQUESTS / 10);
  // Inputs of the programs for batch shapes that had not come before: about 1 KiB each, 8 KiB together when measured; the sizes of buckets are few.
  expect(after.gpu - before.gpu).toBeLessThan(2 ** 15);
  // 0.1 MB when measured, and as much up or down between measurements: of 320 bytes a request nothing is left.
  expect(after.heap - before.heap).toBeLessThan(2 ** 19);
  expect(server.log).toEqual([]);
  await server.close();
});
