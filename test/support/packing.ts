/** Whether log-probs are those of a row, whatever it is packed with. Free of the test runner. */
import type { Gpu } from '../../src/gpu/device.ts';
import type { LoadedModel } from '../../src/models/loading/load.ts';
import { activate } from '../../src/objectives/choice.ts';
import { Scorer } from '../../src/score/scorer.ts';
import { expectSameBits } from './close.ts';
import { randomPairs } from './trainer.ts';

/** Shorter than a tile of 16 tokens, longer than one of 32, and so that others begin anywhere within a tile. */
const rows = [...randomPairs(1, 7, 3, 5), ...randomPairs(2, 21, 30, 45), ...randomPairs(2, 22, 3, 70)];

/** Scores rows by one forward pass of `name`'s objective, and each of them alone. @throws Error where a log-prob's bits differ */
export async function expectSameAlone(gpu: Gpu, { model: policy }: LoadedModel, name: string): Promise<void> {
  const reference = { model: policy, adapter: false };
  const scorer = new Scorer({ gpu, policy, reference, objective: activate({ name }), details: false });
  const together = await scorer.score(rows);
  let start = 0;
  for (const [i, row] of rows.entries()) {
    const alone = await scorer.score([row]);
    const length = row.chosen.ids.length + row.rejected.ids.length;
    for (const key of ['logps', 'refLogps'] as const) {
      const own = alone[key];
      if (own?.length !== length) throw new Error(`${own?.length} ${key} of row ${i}, ${length} expected.`);
      const packed = together[key]?.slice(start, start + length) ?? new Float32Array();
      expectSameBits(packed, own, `${key} of row ${i}`);
    }
    start += length;
  }
  scorer.free();
}
