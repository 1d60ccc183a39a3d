/** doctor --tune measures kernels, prints what it found, and the next run starts from it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { reserveTensor } from '../../src/autograd/tensor.ts';
import { runTune, typicalProducts } from '../../src/cli/doctor-tune.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { productKey } from '../../src/ops/linear/linear-variants.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { testGpu } from '../support/gpu.ts';

const cache = mkdtempSync(join(tmpdir(), 'prefgrad-tune-'));
afterAll(() => rmSync(cache, { recursive: true, force: true }));

const runtime = { ...nodeRuntime(), cacheDirectory: () => cache };

function oneProduct(gpu: Gpu) {
  const weight = reserveTensor(gpu, 'w', [64, 64], 'f32', 'state');
  return [{ orientation: 'FORWARD', tokens: 64, weight, shard: weight.shards[0], stored: 'f32' }] as const;
}

it('measures again what a damaged file kept', async () => {
  await runTune(runtime, () => {}, { json: true }, oneProduct);
  const path = join(cache, readdirSync(cache)[0]);
  const kept = Object.keys(JSON.parse(readFileSync(path, 'utf8')));
  for (const damage of ['null', '[1]', '{"a": 1}', '{']) {
    writeFileSync(path, damage);
    expect(await runTune(runtime, () => {}, { json: true }, oneProduct)).toBe(0);
    expect(Object.keys(JSON.parse(readFileSync(path, 'utf8')))).toEqual(kept);
  }
});

it('prints a time for every kernel of a product, and keeps the fastest in a file of this adapter', async () => {
  let text = '';
  const code = await runTune(runtime, (more) => (text += more), { json: true }, oneProduct);
  expect(code, text).toBe(0);
  const report = JSON.parse(text) as {
    path: string;
    products: { key: string; winner: string; milliseconds: Record<string, number> }[];
  };
  const [product] = report.products;
  expect(product.key).toBe('linear forward 64 x 64 f32');
  expect(product.milliseconds[product.winner]).toBe(Math.min(...Object.values(product.milliseconds)));
  const [file] = readdirSync(cache);
  expect(report.path).toBe(join(cache, file));
  expect(JSON.parse(readFileSync(report.path, 'utf8'))).toEqual({ [product.key]: product.winner });
});

it('measures every orientation of weights in f32 and bf16 unless told otherwise', async () => {
  const keys = typicalProducts(await testGpu()).map(productKey);
  for (const orientation of ['forward', 'input', 'weight'])
    for (const dtype of ['f32', 'bf16']) expect(keys).toContain(`linear ${orientation} 256 x 256 ${dtype}`);
});
