import { beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { KernelLibrary } from '../../src/gpu/kernels.ts';
import { fixturesOf } from '../support/fixtures.ts';
import { testGpu } from '../support/gpu.ts';
import { Workbench } from '../support/workbench.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

/** y = f(x) by a kernel of its own, for functions of kernels/shared/math.wgsl that no op offers. */
async function evaluate(
  name: string,
  x: readonly number[],
  call = `${name}(x[id.x])`,
): Promise<Float32Array> {
  const sources = {
    ...(await gpu.runtime.kernelSources()),
    'probe.wgsl': `import package::shared::math::${name};
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = ${call}; }`,
  };
  const pipeline = await new KernelLibrary(gpu.device, sources).pipeline({ kernel: 'probe' });
  const bench = new Workbench(gpu);
  const shape = [x.length];
  const [from, to] = [bench.floats('x', { shape, data: x }), bench.floats('y', { shape, data: x })];
  const entries = [from, to].map(({ shards: [{ storage }] }, binding) => {
    if (storage.buffer === undefined) throw new Error(`${storage.label} has no buffer.`);
    return { binding, resource: { buffer: storage.buffer } };
  });
  const encoder = gpu.device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, gpu.device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(x.length);
  pass.end();
  gpu.device.queue.submit([encoder.finish()]);
  const values = new Float32Array(await gpu.read(to.shards[0]));
  bench.free();
  return values;
}

describe('functions that WGSL lacks, near 0 and at +-100, to a relative error', () => {
  it.each([
    ['log1p', 'log1p'],
    ['expm1', 'expm1'],
    ['softplus', 'softplus'],
    ['log_sigmoid', 'log_sigmoid'],
    ['log1mexp', 'log1mexp'],
  ])('%s', async (op, name) => {
    const [{ inputs, outputs }] = fixturesOf(op);
    const known = inputs.x.data.map((x, i) => [x, outputs.y.data[i]]);
    // The fixture clamps log1mexp at -1e-6, and loses it to rounding beyond -30, where f64 itself takes 1 - e^x for 1.
    const points = op === 'log1mexp' ? known.filter(([x]) => x < -1e-6 && x > -30) : known;
    const actual = await evaluate(
      name,
      points.map(([x]) => x),
    );
    points.forEach(([x, expected], i) => {
      // WGSL's own exp may be off by 2 |x| + 3 units in the last place, and what is no normal f32 may become 0.
      const limit = 2 ** -125 + Math.abs(expected) * (16 + 2 * Math.abs(x)) * 2 ** -23;
      const error = Math.abs(actual[i] - expected);
      if (!(error <= limit))
        throw new Error(`${name}(${x}) is ${actual[i]}, expected ${expected} to ${limit}.`);
    });
  });
});

describe('tanh', () => {
  it('to four units in the last place, from 1e-30 to where it is 1', async () => {
    const magnitudes = [1e-30, 1e-8, 1e-3, 0.1, 0.3, 0.6, 0.624, 0.626, 0.9, 1.5, 3, 6, 9, 10, 11, 1e4, 3e38];
    const points = [0, ...magnitudes, ...magnitudes.map((x) => -x)].map(Math.fround);
    const actual = await evaluate('tanh4', points, 'tanh4(vec4f(x[id.x])).x');
    points.forEach((x, i) => {
      const expected = Math.tanh(x);
      expect(Math.abs(actual[i] - expected), `tanh(${x}) is ${actual[i]}`).toBeLessThanOrEqual(
        4 * 2 ** -23 * Math.abs(expected),
      );
    });
  });
});
