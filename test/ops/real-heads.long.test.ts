/** Head sizes of models that people use, by every variant of attention: each takes a CPU adapter seconds to compile. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AttentionVariant } from '../../src/gpu/choices.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { attention } from '../../src/ops/attention/attention.ts';
import { runOp } from '../support/check-op.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { gridValues, type HostTensor, Workbench } from '../support/workbench.ts';
import { packedLayout } from './packed-layout.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});
afterEach(() => gpu.choices.clear());

const f64 = ({ shape, data }: HostTensor) => ({ shape, data: Float64Array.from(data) });

describe.each([80, 96])('attention with heads of %i', (headDim) => {
  it('that share a key head: every variant gives one result, which is the reference', async () => {
    const documents = [
      [5, 9, 4],
      [1, 3, 2],
    ];
    const [heads, kvHeads, tokens] = [2, 1, 24];
    const inputs = [heads, kvHeads, kvHeads].map((n, i) => gridValues(4 + i, [tokens, n * headDim]));
    const run = async (variant: AttentionVariant) => {
      gpu.choices.attention = variant;
      const bench = new Workbench(gpu);
      const attributes = { heads, kvHeads, headDim, layout: packedLayout(bench, documents) };
      const dy = gridValues(9, [tokens, heads * headDim]);
      const result = await runOp(bench, attention, inputs, attributes, 'inner', [0, 1, 2], dy);
      const [expected] = attention.reference(inputs.map(f64), attributes, bench.index);
      expectClose(result.outputs[0], expected.data, 1e-5, `y, ${variant}`);
      bench.free();
      return result.gradients;
    };
    const plain = await run('plain');
    for (const variant of ['subgroup', 'tiled'] as const) {
      const other = await run(variant);
      expect(other).toHaveLength(3);
      other.forEach((gradient, i) => {
        expectClose(gradient ?? [], plain[i] ?? [], 1e-5, `d ${'qkv'[i]}, ${variant}`);
      });
    }
  });
});
