import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { occurrences } from '../../src/data/occurrences.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { embedding } from '../../src/ops/indexing/embedding.ts';
import { linear } from '../../src/ops/linear/linear.ts';
import { runOp } from '../support/check-op.ts';
import { expectClose, expectSameBits } from '../support/close.ts';
import { openGpu, testGpu } from '../support/gpu.ts';
import { gridIndices, gridValues, type HostTensor, Workbench } from '../support/workbench.ts';

// The same op on a device whose bindings hold 1 MiB, so that weights are cut, and on one where they are whole.
let gpu: Gpu;
let small: Gpu;
beforeAll(async () => {
  [gpu, small] = await Promise.all([testGpu(), openGpu({ maxBindingBytes: 2 ** 20 })]);
});
afterAll(() => small.close());

describe('a matrix longer than one binding', () => {
  it.each(['f32', 'f16'] as const)(
    'linear in %s: y and dw to the bit, dx up to the order of its sum',
    async (dtype) => {
      // 1.3 MB in f32; in 16 bits the weight is whole and only its gradient is cut.
      const inputs: HostTensor[] = [gridValues(1, [5, 300]), { ...gridValues(2, [1100, 300]), dtype }];
      const dy = gridValues(3, [5, 1100]);
      const run = async (on: Gpu) => {
        const bench = new Workbench(on);
        const result = await runOp(bench, linear, inputs, {}, 'leaf', [0, 1], dy);
        bench.free();
        return result;
      };
      const [cut, whole] = [await run(small), await run(gpu)];
      expectSameBits(cut.outputs[0], whole.outputs[0], 'y', [5, 1100]);
      expectClose(cut.gradients[0] ?? [], whole.gradients[0] ?? [], 1e-6, 'dx', [5, 300]);
      expectSameBits(...pair(cut.gradients[1], whole.gradients[1]), 'dw', [1100, 300]);
    },
  );

  it.each(['f32', 'bf16'] as const)(
    'embedding in %s: rows of every shard and the scattered gradient to the bit',
    async (dtype) => {
      const table: HostTensor = { ...gridValues(4, [9000, 64]), dtype };
      // Rows on both sides of every border, some of them repeated.
      const ids = [0, 4095, 4096, 4097, 8191, 8192, 8999, 4096, 0, ...gridIndices(5, 40, 9000)];
      const lists = occurrences(Uint32Array.from(ids), 60);
      const run = async (on: Gpu) => {
        const bench = new Workbench(on);
        const attributes = {
          ids: bench.indices('ids', [ids.length], ids),
          occurrences: {
            order: bench.indices('order', [ids.length], lists.order),
            starts: bench.indices('starts', [61], lists.starts),
            uniqueIds: bench.indices('unique ids', [60], lists.uniqueIds),
          },
        };
        const dy = gridValues(6, [ids.length, 64]);
        const result = await runOp(bench, embedding, [table], attributes, 'leaf', [0], dy);
        bench.free();
        return result;
      };
      const [cut, whole] = [await run(small), await run(gpu)];
      expectSameBits(cut.outputs[0], whole.outputs[0], 'y', [ids.length, 64]);
      const values = Float64Array.from(table.data);
      const rows = ids.flatMap((id) => [...values.subarray(64 * id, 64 * id + 64)]);
      expectClose(whole.outputs[0], rows, 0, 'y', [ids.length, 64]);
      expectSameBits(...pair(cut.gradients[0], whole.gradients[0]), 'dtable', [9000, 64]);
    },
  );
});

it('really cuts: the weight of these tests has several shards', () => {
  const bench = new Workbench(small);
  expect(bench.floats('w', gridValues(2, [1100, 300])).shards.map((s) => s.rows)).toEqual([832, 268]);
  expect(bench.floats('table', gridValues(4, [9000, 64])).shards.map((s) => s.rows)).toEqual([
    4096, 4096, 808,
  ]);
  bench.free();
});

function pair(a: Float32Array | undefined, b: Float32Array | undefined): [Float32Array, Float32Array] {
  if (a === undefined || b === undefined) throw new Error('There is no gradient to compare.');
  return [a, b];
}
