/** A GPU holds frozen bf16 weights of products as f16 where all of a matrix fits; what is saved comes from the checkpoint. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { whole } from '../../src/autograd/tensor.ts';
import { bf16ToFloat, decodeFloats, f16ToFloat } from '../../src/formats/half.ts';
import { ModelDirectory } from '../../src/formats/model-directory.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { type LoadOptions, loadModel } from '../../src/models/loading/load.ts';
import { openGpu } from '../support/gpu.ts';
import { testRuntime } from '../support/runtime.ts';

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-halves-'));
const path = join(folder, 'model');
const LARGE = 'model.layers.0.self_attn.q_proj.weight';
const SMALL = 'model.layers.0.self_attn.k_proj.weight';
const HEAD = 'lm_head.weight';
/** 65536, the first bf16 beyond f16; the largest bf16 within it; 255 * 2^-25, with a bit that f16 has not; 2^-26, which vanishes. */
const WORDS = { beyond: 0x4780, largest: 0x477f, rounded: 0x36ff, vanishing: 0x3280 };

beforeAll(() => {
  cpSync('test/fixtures/torch/tiny-llama-bf16', path, { recursive: true });
  const file = join(path, 'model.safetensors');
  const bytes = readFileSync(file);
  const header = bytes.readUInt32LE(0);
  const entries = JSON.parse(bytes.subarray(8, 8 + header).toString());
  const put = (name: string, words: readonly number[]) =>
    bytes.set(new Uint8Array(Uint16Array.from(words).buffer), 8 + header + entries[name].data_offsets[0]);
  put(LARGE, [WORDS.largest, WORDS.beyond]);
  put(SMALL, [WORDS.largest, WORDS.rounded, WORDS.vanishing]);
  writeFileSync(file, bytes);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const LORA = { r: 4, alpha: 8, targetModules: ['q_proj'] };

async function held(gpu: Gpu, options: Partial<LoadOptions> = {}) {
  const loaded = await loadModel(gpu, path, { train: LORA, dtype: 'bf16', positions: 16, ...options });
  const bytesOf = async (name: string) => new Uint8Array(await gpu.read(whole(loaded.weight(name))));
  const dtypes = Object.fromEntries(loaded.weights.map(({ name }) => [name, loaded.weight(name).dtype]));
  const [large, small] = [await bytesOf(LARGE), await bytesOf(SMALL)];
  loaded.free();
  return { dtypes, large, small, checksum: loaded.checksum, dtype: loaded.dtype };
}

async function stored(name: string) {
  const directory = await ModelDirectory.open(testRuntime().files, path);
  const bytes = await directory.readTensor(name);
  await directory.close();
  return bytes;
}

describe('with the choices of a GPU', () => {
  let gpu: Gpu;
  beforeAll(async () => {
    gpu = await openGpu({ profile: 'gpu' });
  });
  afterAll(() => gpu.close());

  it('products read f16, but for a matrix with a value beyond 65504; embedding and norms stay', async () => {
    const { dtypes, large, dtype } = await held(gpu);
    const products = Object.keys(dtypes).filter((name) => name.includes('_proj') || name === HEAD);
    const halves = products.filter((name) => dtypes[name] === 'f16');
    expect(halves).toEqual(products.filter((name) => name !== LARGE));
    expect([dtypes[LARGE], dtypes['model.embed_tokens.weight'], dtypes['model.norm.weight']]).toEqual([
      'bf16',
      'bf16',
      'f32',
    ]);
    expect(large).toEqual(await stored(LARGE));
    expect(dtype).toBe('bf16');
  });

  it('is exact down to 2^-17, and wrong by at most 2^-25 below', async () => {
    const { small } = await held(gpu);
    const [found, expected] = [decodeFloats(small, 'F16'), decodeFloats(await stored(SMALL), 'BF16')];
    expect(found[0]).toBe(65280);
    expect(found[1]).toBe(f16ToFloat(Math.round(bf16ToFloat(WORDS.rounded) * 2 ** 24)));
    expect(found[1]).not.toBe(expected[1]);
    expect(found[2]).toBe(0);
    expected.forEach((value, i) => {
      const error = Math.abs(found[i] - value);
      expect(error, `${value}`).toBeLessThanOrEqual(Math.abs(value) < 2 ** -17 ? 2 ** -25 : 0);
    });
  });

  it('the checksum is of the checkpoint, though a matrix was read twice', async () => {
    expect((await held(gpu)).checksum).toBe((await held(gpu, { exactDType: true })).checksum);
  });

  it('the reference of a model that is trained whole stays in bf16, and so does a model asked for in f32', async () => {
    const all = async (options: Partial<LoadOptions>) =>
      new Set(Object.values((await held(gpu, options)).dtypes));
    expect(await all({ train: 'none', exactDType: true })).toEqual(new Set(['bf16', 'f32']));
    expect(await all({ dtype: 'f32' })).toEqual(new Set(['f32']));
  });

  it('asked for in f16, a value that f16 cannot hold is refused by name', async () => {
    await expect(held(gpu, { dtype: 'f16' })).rejects.toThrow(`${LARGE} has values beyond 65504`);
  });
});

it('CPU adapters read bf16 as it is', async () => {
  const gpu = await openGpu({ profile: 'auto' });
  const { dtypes } = await held(gpu);
  gpu.close();
  expect(new Set(Object.values(dtypes))).toEqual(new Set(['bf16', 'f32']));
});
