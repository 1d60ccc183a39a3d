/** Waiting for a software adapter leaves the processor to it. */
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { hasAdapter } from '../support/adapters.ts';

const active = (kind: string) => process.getActiveResourcesInfo().filter((name) => name === kind).length;

it.skipIf(!hasAdapter('lavapipe'))('Dawn waits by timers, not by every turn of the event loop', async () => {
  const adapter = await nodeRuntime().requestAdapter({ device: 'lavapipe' });
  const device = await adapter.requestDevice();
  // What asked for the device has its answer, and asks once more.
  await setTimeout(20);
  const before = { immediates: active('Immediate'), timers: active('Timeout') };
  const pending = device.queue.onSubmittedWorkDone();
  expect({ immediates: active('Immediate'), timers: active('Timeout') }).toEqual({
    ...before,
    timers: before.timers + 1,
  });
  await pending;
  device.destroy();
});

it('setImmediate stays what it is for everyone else', async () => {
  const order: string[] = [];
  void setTimeout(20).then(() => order.push('timer'));
  setImmediate((word) => order.push(word), 'immediate');
  const cleared = setImmediate(() => order.push('cleared'));
  clearImmediate(cleared);
  expect(await promisify(setImmediate)('value')).toBe('value');
  expect(order).toEqual(['immediate']);
});
