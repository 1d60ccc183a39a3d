import { beforeAll, describe, expect, it } from 'vitest';
import type { Gpu } from '../../src/gpu/device.ts';
import { accumulate } from '../../src/ops/index.ts';
import { expectClose } from '../support/close.ts';
import { openGpu, testGpu } from '../support/gpu.ts';
import { record } from '../support/record.ts';
import { gridValues, Workbench } from '../support/workbench.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

async function run(on: Gpu, shape: readonly number[], add: boolean, label: string): Promise<void> {
  const bench = new Workbench(on);
  const count = shape.reduce((n, d) => n * d, 1);
  const [a, b] = [new Float32Array(count), new Float32Array(count)];
  for (let i = 0; i < count; i++) {
    a[i] = (3 * i) % 1021;
    b[i] = (7 * i) % 1021;
  }
  const [from, into] = [a, b].map((data) => bench.floats(label, { shape, data }));
  const [sum] = await record(on, (recorder) => {
    accumulate(recorder, from, { tensor: into, accumulate: add });
    return [into];
  });
  const expected = a.map((x, i) => (add ? x + b[i] : x));
  bench.free();
  expectClose(sum, expected, 0, label, shape);
}

describe('accumulate', () => {
  it.each([
    ['adds', true],
    ['copies', false],
  ])('%s, one element or many', async (_name, add) => {
    await run(gpu, [1], add, 'one');
    await run(gpu, [7, 13], add, 'ragged');
  });

  it('reaches all of 17 million elements, whose workgroups do not fit one dimension', async () => {
    await run(gpu, [17_000_003], true, 'long');
  });

  it('walks the shards of a tensor longer than one binding', async () => {
    const small = await openGpu({ maxBindingBytes: 2 ** 20 });
    await run(small, [1100, 300], true, 'sharded');
    small.close();
  });

  it('rejects tensors that are cut differently', async () => {
    const small = await openGpu({ maxBindingBytes: 2 ** 20 });
    const bench = new Workbench(small);
    const whole = bench.floats('whole', gridValues(1, [1000]));
    const cut = bench.floats('cut', gridValues(1, [300, 1000]));
    const attempt = record(small, (recorder) => {
      accumulate(recorder, whole, { tensor: cut, accumulate: true });
      return [];
    });
    await expect(attempt).rejects.toThrow('whole and cut are cut into different shards.');
    bench.free();
    small.close();
  });
});
