/** Sums over ranks of what a program is still computing. */
import { expect, it } from 'vitest';
import { allocateTensor, download, rowRange } from '../../src/autograd/tensor.ts';
import { Program } from '../../src/gpu/program.ts';
import { recordFill } from '../../src/ops/elementwise/fill.ts';
import { ONE_RANK, type Ranks } from '../../src/runtime/ranks.ts';
import { RankSum } from '../../src/step/rank-sum.ts';
import { testGpu } from '../support/gpu.ts';

const PARTS = 8;
/** Elements of 1 MiB: what is less is not cut. */
const PART = 2 ** 18;

it('the last pieces are on their way before the first ones are computed', async () => {
  const gpu = await testGpu();
  const gradient = allocateTensor(gpu, 'gradient', [PARTS * PART], 'f32', 'gradients');
  const backward = await Program.build(gpu, 'backward', (recorder) => {
    for (let part = PARTS - 1; part >= 0; part--)
      recordFill(recorder, rowRange(gradient, PART * part, PART), part + 1);
  });
  expect(backward.endOfUse({ ...gradient.shards[0], byteOffset: 0, byteLength: 4 * PART })).toBe(PARTS);

  const submitted: number[] = [];
  const runPart = backward.runPart.bind(backward);
  backward.runPart = (first, end) => {
    submitted.push(end);
    runPart(first, end);
  };
  /** At each sum: dispatches that were submitted before it. */
  const before: number[] = [];
  const twins: Ranks = {
    ...ONE_RANK,
    size: 2,
    async allReduceSum(values, sums) {
      before.push(submitted.at(-1) ?? 0);
      sums.set(values.map((value) => 2 * value));
    },
  };
  const sum = new RankSum(gpu, twins, 4 * PARTS * PART);
  sum.place();
  await sum.sum([gradient], backward);
  expect(before).toEqual([3, 4, 5, 6, 7, 8, 8, 8]);
  const values = await download(gpu, gradient);
  expect([...values.filter((_, i) => i % PART === 0)]).toEqual([2, 4, 6, 8, 10, 12, 14, 16]);
  sum.free();
  backward.free();
});
