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
/** Requests between measurements. After the first of them pools, programs and compiled code are there. */
const PART = 400;

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
  const measured: { readonly heap: number; readonly gpu: number }[] = [];
  for (let at = 0; at < REQUESTS; at += PART) measured.push(await run(at, at + PART));
  expect(refusals).toBe(REQUESTS / 10);
  // Inputs of the programs for batch shapes that had not come before, about 1 KiB each: 10 KB by 1,600 requests, 12 KB by
  // 4,000.
  expect((measured.at(-1)?.gpu ?? 0) - measured[0].gpu).toBeLessThan(2 ** 15);
  // The heap goes up and down by 0.9 MB between measurements, whatever is collected: over 4,000 requests it ended where it began.
  // 1 KB kept of every request would put the lower of the last two measurements 0.8 MB above the higher of the first two.
  const heaps = measured.map(({ heap }) => heap);
  const growth = Math.min(...heaps.slice(-2)) - Math.max(...heaps.slice(0, 2));
  expect(growth, heaps.join(' ')).toBeLessThan(2 ** 18);
  expect(server.log).toEqual([]);
  await server.close();
});
