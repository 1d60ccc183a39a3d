/** The server's memory over 2,000 requests, in a process of its own: in a worker, vitest's own heap grows beside it. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import type { ServerMemory } from './memory-run.ts';

it('stays flat', async () => {
  const args = ['--expose-gc', '--import', 'tsx', 'test/serve/memory-run.ts'];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const { heaps, gpu, refusals, log }: ServerMemory = JSON.parse(stdout);
  expect(refusals).toBe(200);
  // Inputs of the programs for batch shapes that had not come before, about 1 KiB each: 10 KB by 1,600 requests, 12 KB by
  // 4,000.
  expect((gpu.at(-1) ?? Infinity) - gpu[0]).toBeLessThan(2 ** 15);
  // The heap goes up and down between measurements, whatever is collected. 1 KB kept of every request would put the lower
  // of the last two measurements 0.8 MB above the higher of the first two.
  const growth = Math.min(...heaps.slice(-2)) - Math.max(...heaps.slice(0, 2));
  expect(growth, heaps.join(' ')).toBeLessThan(2 ** 18);
  expect(log).toEqual([]);
});
