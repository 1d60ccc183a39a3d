/**
 * 2,000 requests to a server in this process, eight at a time, streamed, aborted and refused ones among them; prints what
 * memory they left:
 *
 *   node --expose-gc --import tsx test/serve/memory-run.ts
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { APIError } from 'openai';
import { testGpu } from '../support/gpu.ts';
import { openServer } from './served.ts';

/** What this process prints, as JSON. */
export interface ServerMemory {
  /** Bytes of JavaScript's heap after each part of the requests, garbage collected. */
  readonly heaps: readonly number[];
  /** Bytes of GPU buffers at the same moments. */
  readonly gpu: readonly number[];
  /** Requests that were refused with status 400: every tenth is to be. */
  readonly refusals: number;
  /** What went wrong on the server's side. */
  readonly log: readonly string[];
}

const REQUESTS = 2000;
/** Requests between measurements. After the first of them pools, programs and compiled code are there. */
const PART = 400;
const AT_ONCE = 8;

const collectGarbage = globalThis.gc;
if (!collectGarbage) throw new Error('start with --expose-gc');
const gpu = await testGpu();
const server = await openServer();
const { completions } = server.client;
let refusals = 0;

async function ask(i: number): Promise<void> {
  const body = {
    model: 'm',
    prompt: [1, 403, 407, 261, 378].slice(0, 1 + (i % 5)),
    max_tokens: 2 + (i % 7),
    seed: i,
  };
  if (i % 10 === 3)
    refusals += await completions.create({ ...body, temperature: -1 }).then(
      () => 0,
      ({ status }: APIError) => Number(status === 400),
    );
  else if (i % 10 === 6) {
    const stream = await completions.create({ ...body, max_tokens: 60, stream: true });
    for await (const _ of stream) break;
  } else await completions.create({ ...body, logprobs: i % 3 });
}

async function askPart(from: number): Promise<void> {
  let next = from;
  const worker = async () => {
    while (next < from + PART) await ask(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  // Sequences of aborted streams end a step later.
  while (server.engine.statistics.running || server.engine.statistics.blocksUsed) await sleep(20);
}

const heaps: number[] = [];
const buffers: number[] = [];
for (let from = 0; from < REQUESTS; from += PART) {
  await askPart(from);
  await collectGarbage({ execution: 'async', type: 'major' });
  heaps.push(process.memoryUsage().heapUsed);
  buffers.push(gpu.memory.current);
}
await server.close();
gpu.close();
const memory: ServerMemory = { heaps, gpu: buffers, refusals, log: server.log };
console.log(JSON.stringify(memory));
