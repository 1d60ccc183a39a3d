/** Models as users bring them: from a URL, as a PEFT adapter, and larger than the adapter takes. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/program.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import type { Engine } from '../../web/worker/engine.ts';
import { testRuntime } from '../support/runtime.ts';
import { serve } from '../support/serve.ts';
import { dropped, EVAL, evalPairs, newEngine, STORIES } from './support.ts';

const folder = fs.mkdtempSync(join(tmpdir(), 'prefgrad-models-'));
const method = { name: 'dpo', settings: { beta: 0.5 } };
let engine: Engine;

beforeAll(async () => {
  engine = newEngine();
  await engine.open();
  await engine.loadModel('reference', dropped(STORIES));
});
afterAll(async () => {
  await engine.close();
  fs.rmSync(folder, { recursive: true, force: true });
});

const scoreOf = async (policy: string) => {
  const [pair] = evalPairs(1);
  const found = await engine.score(policy, { pair, policy, reference: 'reference', method, details: false });
  if (found === undefined) throw new Error('overtaken');
  return found;
};

describe('a model', () => {
  it('behind a URL scores as the same files dropped do', async () => {
    const server = await serve(STORIES);
    const summary = await engine.loadModel('fetched', { kind: 'url', url: server.origin });
    expect(summary.parameters).toBe(260_032);
    expect((await scoreOf('fetched')).chosen.rewards?.every((reward) => reward === 0)).toBe(true);
    await server.close();
  });

  it('that is a PEFT adapter of prefgrad train goes on top of the reference', async () => {
    const rows = fs.readFileSync(EVAL, 'utf8').split('\n').slice(0, 4).join('\n');
    fs.writeFileSync(join(folder, 'rows.jsonl'), rows);
    const config = {
      model: { path: fs.realpathSync(STORIES) },
      lora: { r: 4 },
      objective: { name: 'dpo' },
      data: { train: join(folder, 'rows.jsonl'), max_length: 256 },
      training: { max_steps: 2, learning_rate: 1e-2, warmup_ratio: 0, per_device_train_batch_size: 4 },
      output_dir: join(folder, 'run'),
    };
    fs.writeFileSync(join(folder, 'lora.yaml'), JSON.stringify(config));
    const quiet = { out() {}, err() {}, terminal: undefined, exitCode: 0 };
    const code = await runCli(['train', join(folder, 'lora.yaml')], {
      ...quiet,
      runtime: async () => testRuntime(),
    });
    expect(code).toBe(0);
    const summary = await engine.loadModel('adapted', dropped(join(folder, 'run/model'), 'adapter'));
    expect(summary.adapter).toContain('adapter');
    const { chosen } = await scoreOf('adapted');
    expect(chosen.rewards?.some((reward) => Math.abs(reward) > 1e-3)).toBe(true);
  });

  it('too large for the adapter is refused with its size, and the one before stays', async () => {
    const runtime = nodeRuntime();
    const MOST = 100_000;
    const small = newEngine({
      ...runtime,
      requestAdapter: async (choice) => withMemory(await runtime.requestAdapter(choice), MOST),
    });
    await small.open();
    await expect(small.loadModel('reference', dropped(STORIES))).rejects.toThrow(
      /reference needs [\d.]+ .iB of GPU memory, which this adapter does not have\. Models of up to about/,
    );
    expect(await small.gpuBytes()).toBe(0);
    await small.close();
  });
});

/** An adapter that refuses buffers of more than `most` bytes, as a driver does that has no memory left. */
function withMemory(adapter: GPUAdapter, most: number): GPUAdapter {
  const request = adapter.requestDevice.bind(adapter);
  adapter.requestDevice = async (descriptor) => {
    const device = await request(descriptor);
    const create = device.createBuffer.bind(device);
    // A size that no device has: Dawn reports it to the open error scope, as it does a failed allocation.
    device.createBuffer = (wanted) => create(wanted.size > most ? { ...wanted, size: 2 ** 50 } : wanted);
    return device;
  };
  return adapter;
}
