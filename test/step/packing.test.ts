/** Log-probs are those of a row, whatever it is packed with: on other ranks, and in other micro-batches, company differs. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { KernelChoices } from '../../src/gpu/choices.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { type LoadedModel, loadModel } from '../../src/models/loading/load.ts';
import { activate } from '../../src/objectives/choice.ts';
import { Scorer } from '../../src/score/scorer.ts';
import { expectSameBits } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { randomPairs } from '../support/trainer.ts';

let gpu: Gpu;
let model: LoadedModel;
beforeAll(async () => {
  gpu = await testGpu();
  const options = { train: 'none', dtype: 'f32', positions: 256 } as const;
  model = await loadModel(gpu, 'examples/stories260K', options);
});
afterEach(() => gpu.choices.clear());

/** Shorter than a tile of 16 tokens, longer than one of 32, and so that others begin anywhere within a tile. */
const rows = [...randomPairs(1, 7, 3, 5), ...randomPairs(2, 21, 30, 45), ...randomPairs(2, 22, 3, 70)];

type Choices = Partial<Pick<KernelChoices, 'attention' | 'linear' | 'rows'>>;

describe.each<readonly [kernels: string, Choices]>([
  ['of this device', {}],
  ['of GPUs', { attention: 'tiled', linear: 'tiled', rows: 'workgroup' }],
])('kernels %s give a row the same bits alone and behind others', (_kernels, choices) => {
  it.each(['dpo', 'epsilon-dpo'])('in the forward pass of %s', async (name) => {
    Object.assign(gpu.choices, choices);
    const policy = model.model;
    const reference = { model: policy, adapter: false };
    const scorer = new Scorer({ gpu, policy, reference, objective: activate({ name }), details: false });
    const together = await scorer.score(rows);
    let start = 0;
    for (const [i, row] of rows.entries()) {
      const alone = await scorer.score([row]);
      const length = row.chosen.ids.length + row.rejected.ids.length;
      for (const key of ['logps', 'refLogps'] as const) {
        expect(alone[key]).toHaveLength(length);
        const packed = together[key]?.slice(start, start + length) ?? new Float32Array();
        expectSameBits(packed, alone[key] ?? packed, `${key} of row ${i}`);
      }
      start += length;
    }
    scorer.free();
  });
});
