/** LoRA pairs on GPUs: A of what reads the same input lies together; nothing else is different. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { download, joinRows } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { freezeAdapter } from '../../src/models/loading/frozen-adapter.ts';
import { type LoadedModel, loadModel } from '../../src/models/loading/load.ts';
import { ParameterSlabs } from '../../src/nn/parameters.ts';
import type { LoraPair } from '../../src/nn/projection.ts';
import { openGpu, testGpu } from '../support/gpu.ts';

const MODULES = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];
const load = (on: Gpu) =>
  loadModel(on, 'examples/stories260K', {
    train: { r: 4, alpha: 8, targetModules: MODULES },
    dtype: 'f32',
    positions: 16,
  });

let gpu: Gpu;
let onGpu: LoadedModel;
let onCpu: LoadedModel;
beforeAll(async () => {
  gpu = await openGpu({ profile: 'gpu' });
  onGpu = await load(gpu);
  onCpu = await load(await testGpu());
});
afterAll(() => {
  onCpu.free();
  onGpu.free();
  gpu.close();
});

const parametersOf = ({ trained }: LoadedModel) => [...(trained?.parameters.values() ?? [])];

function joined(model: LoadedModel, ...modules: string[]) {
  const names = modules.map((module) => `model.layers.1.${module}.lora_A.weight`);
  const tensors = names.flatMap((name) => model.trained?.parameters.get(name)?.tensor ?? []);
  expect(tensors).toHaveLength(modules.length);
  return joinRows(tensors);
}

describe('A of q, k and v, and of gate and up', () => {
  const QKV = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'];

  it('lies one after the other by the kernels of GPUs, and so do its gradients', () => {
    expect(joined(onGpu, ...QKV)).toMatchObject({ shape: [12, 64], gradient: { shape: [12, 64] } });
    expect(joined(onGpu, 'mlp.gate_proj', 'mlp.up_proj')?.shape).toEqual([8, 64]);
    expect(joined(onCpu, ...QKV)).toBeUndefined();
  });

  it('has the names, shapes, order and first values that it has anywhere', async () => {
    const of = (model: LoadedModel) => parametersOf(model).map(({ name, shape }) => ({ name, shape }));
    expect(of(onGpu)).toEqual(of(onCpu));
    const others = parametersOf(onCpu);
    for (const [i, { master }] of parametersOf(onGpu).entries())
      expect(await download(gpu, master)).toEqual(await download(await testGpu(), others[i].master));
  });

  it('does so in a frozen copy, whose reference then takes the same kernels', async () => {
    const copies = new Map<string, LoraPair>();
    const withPairs = (pairs: (module: string) => LoraPair | undefined) => {
      for (const { name } of onGpu.weights) {
        const module = name.replace(/\.weight$/, '');
        const pair = pairs(module);
        if (pair !== undefined) copies.set(module, pair);
      }
      return onGpu.withPairs(pairs);
    };
    const frozen = await freezeAdapter(gpu, { ...onGpu, withPairs });
    const stack = QKV.flatMap((module) => copies.get(`model.layers.1.${module}`)?.a ?? []);
    expect(joinRows(stack)?.shape).toEqual([12, 64]);
    for (const [module, { a, b }] of copies)
      for (const [copy, name] of [
        [a, `${module}.lora_A.weight`],
        [b, `${module}.lora_B.weight`],
      ] as const) {
        const master = onGpu.trained?.parameters.get(name)?.master ?? expect.unreachable();
        expect(await download(gpu, copy)).toEqual(await download(gpu, master));
      }
    frozen.free();
  });
});

it('a stack that one slab can hold is not divided between two', async () => {
  const spec = (name: string, rows: number, stack?: string) => ({
    name,
    shape: [rows, 64],
    decays: true,
    stack,
  });
  // A slab has 64 rows.
  const small = await openGpu({ maxBindingBytes: 64 * 64 * 4 });
  const specs = [spec('a', 40), spec('q', 16, 'qkv'), spec('b', 4), spec('k', 16, 'qkv')];
  const trained = new ParameterSlabs(small, specs, 'f32');
  expect([...trained.parameters.keys()]).toEqual(['a', 'q', 'b', 'k']);
  const [q, k] = ['q', 'k'].map((name) => trained.parameters.get(name)?.tensor ?? expect.unreachable());
  expect(joinRows([q, k])?.shape).toEqual([32, 64]);
  expect(trained.slabs.map(({ length }) => length / 64)).toEqual([40, 36]);
  trained.free();
  small.close();
});
