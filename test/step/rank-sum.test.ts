/** Sums over ranks of what a program is still computing. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { writeRandomLlama } from '../../bench/random-llama.ts';
import { allocateTensor, download, rowRange } from '../../src/autograd/tensor.ts';
import { Gpu } from '../../src/gpu/device.ts';
import { Program } from '../../src/gpu/program.ts';
import { recordFill } from '../../src/ops/elementwise/fill.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { ONE_RANK, type Ranks } from '../../src/runtime/ranks.ts';
import { RankSum } from '../../src/step/rank-sum.ts';
import { testGpu } from '../support/gpu.ts';
import { openTrainer, randomPairs, runSteps, TINY_VOCABULARY } from '../support/trainer.ts';

const PARTS = 8;
/** Elements of 1 MiB: what is less is not cut. */
const PART = 2 ** 18;

const folder = mkdtempSync(join(tmpdir(), 'prefgrad-rank-sum-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** One of two ranks, the other of which has the same. @param summed - told of every sum before it is made */
function twins(summed: () => void): Ranks {
  return {
    ...ONE_RANK,
    size: 2,
    async allReduceSum(values, sums) {
      summed();
      sums.set(values.map((value) => 2 * value));
    },
    allGather: async (bytes) => [bytes, bytes],
    async allGatherInto(bytes, all) {
      for (const at of [0, bytes.length]) all.set(bytes, at);
    },
  };
}

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
  const ranks = twins(() => before.push(submitted.at(-1) ?? 0));
  const sum = new RankSum(gpu, ranks, 4 * PARTS * PART);
  sum.place();
  await sum.sum([gradient], backward);
  expect(before).toEqual([3, 4, 5, 6, 7, 8, 8, 8]);
  const values = await download(gpu, gradient);
  expect([...values.filter((_, i) => i % PART === 0)]).toEqual([2, 4, 6, 8, 10, 12, 14, 16]);
  sum.free();
  backward.free();
});

it('a step sums the gradients of its last layers before the backward pass of the first ones is given to the GPU', async () => {
  const model = join(folder, 'model');
  const size = { vocabulary: TINY_VOCABULARY, hidden: 128, inner: 352, layers: 4, heads: 4, kvHeads: 4 };
  await writeRandomLlama(model, size);
  /** Of the program of the step: dispatches that were submitted, and how many it has. */
  const [submitted, total] = [[0], [0]];
  const { runPart } = Program.prototype;
  const spied = vi.spyOn(Program.prototype, 'runPart').mockImplementation(function (
    this: Program,
    first,
    end,
  ) {
    if (this.label.startsWith('step of')) {
      submitted.push(end);
      total.push(this.dispatchCount);
    }
    runPart.call(this, first, end);
  });
  const before: number[] = [];
  const ranks = twins(() => before.push(submitted.at(-1) ?? 0));
  const gpu = await Gpu.open({ ...nodeRuntime(), ranks });
  const trainer = await openTrainer(gpu, {
    objective: { name: 'simpo' },
    model,
    train: randomPairs(4, 3, 3, 9),
    training: { max_steps: 1, per_device_train_batch_size: 4 },
  });
  await runSteps(trainer, 1);
  spied.mockRestore();
  gpu.close();
  const all = total.at(-1) ?? 0;
  // Four pieces of matrices; norms, whose gradients are complete last; and the metrics. Three travel at a time.
  expect(before).toEqual([before[0], all, all, all, all, all]);
  expect(before[0]).toBeGreaterThan(0);
  expect(before[0]).toBeLessThan(0.9 * all);
});
