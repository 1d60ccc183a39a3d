/**
 * A training run in a process of its own that kills itself with SIGKILL:
 *
 *   node --import tsx test/train/killed-run.ts OUTPUT submit|file N [resume]
 *
 * at the N-th submission of GPU work, which is somewhere in a forward or backward pass, or before the N-th file
 * operation after the first step. N = 0 never kills; the last line is then a count of both.
 */
import { nodeRuntime } from '../../src/runtime/node.ts';
import type { FileSystem, Runtime } from '../../src/runtime/runtime.ts';
import { train } from '../../src/train/train.ts';
import { killedRunConfig } from './killed-run-config.ts';

const [output, kind, at, resume] = process.argv.slice(2);
const counts = { submit: 0, file: 0 };
let hasStarted = false;

function count(what: 'submit' | 'file'): void {
  if (!hasStarted) return;
  counts[what]++;
  if (what === kind && counts[what] === Number(at)) process.kill(process.pid, 'SIGKILL');
}

/** Every call of the object counts as a file operation before it is made. */
function counting<T extends object>(target: T): T {
  return new Proxy(target, {
    get(object, key) {
      const value = Reflect.get(object, key, object) as unknown;
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        count('file');
        const result = (await value.apply(object, args)) as unknown;
        return key === 'create' || key === 'append' ? counting(result as object) : result;
      };
    },
  });
}

const runtime = nodeRuntime();
const requestAdapter: Runtime['requestAdapter'] = async (choice) => {
  const adapter = await runtime.requestAdapter(choice);
  const requestDevice = adapter.requestDevice.bind(adapter);
  adapter.requestDevice = async (descriptor) => {
    const device = await requestDevice(descriptor);
    const submit = device.queue.submit.bind(device.queue);
    device.queue.submit = (buffers) => {
      count('submit');
      submit(buffers);
    };
    return device;
  };
  return adapter;
};
const files = counting(runtime.files) as FileSystem;
const hooks = {
  note() {},
  start: () => {
    hasStarted = true;
  },
  step() {},
  evaluated() {},
  checkpoint() {},
  shouldStop: () => false,
  finish() {},
};
const config = killedRunConfig(output);
await train({ ...runtime, requestAdapter, files }, config, hooks, { resume: resume === 'resume' });
console.log(JSON.stringify(counts));
