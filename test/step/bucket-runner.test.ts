import { beforeAll, describe, expect, it } from 'vitest';
import { type Tensor, whole } from '../../src/autograd/tensor.ts';
import { Workspace } from '../../src/autograd/workspace.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { accumulate } from '../../src/ops/index.ts';
import { type BatchTensors, countsOf } from '../../src/step/batch-tensors.ts';
import { BucketRunner } from '../../src/step/bucket-runner.ts';
import { bucketTokens } from '../../src/step/micro-batches.ts';
import { StepRows } from '../../src/step/step-rows.ts';
import { testGpu } from '../support/gpu.ts';
import { pairOf } from '../support/trainer.ts';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

/** Two short rows and a long one, whose tokens go into other buckets. */
const examples = [
  pairOf([1, 5], [6, 7, 2], [8, 2], 0),
  pairOf([1, 9], [4, 2], [3, 2], 1),
  pairOf([1, ...new Array(40).fill(5)], [6, 2], [7, 2], 2),
];
const logps = examples.map((_, i) => Float32Array.from({ length: 5 }, (_, t) => -(10 * i + t + 1)));
const rows = new StepRows(examples, {}, { logps: [logps[0], logps[1].slice(0, 4), logps[2].slice(0, 4)] });

/** Copies the reference's log-probs out of a batch. */
function copying(workspace: Workspace, capacities: readonly number[]) {
  const shapes = capacities.map((tokens) => ({ tokens, rows: 16, pairs: 2 }));
  return new BucketRunner(workspace, shapes, { fields: ['refLogps'] }, (batch: BatchTensors) => {
    const into: Tensor = workspace.tensor('copy', [batch.capacity.rows], 'f32', 'batch');
    const run = workspace.program('copy', (recorder) =>
      accumulate(recorder, batch.get('refLogps'), { tensor: into, accumulate: false }),
    );
    return { programs: { run }, outputs: into };
  });
}

describe('a bucket runner', () => {
  it('takes every micro-batch to the bucket of its tokens, with what is known of its rows', async () => {
    const workspace = new Workspace(gpu);
    const items = rows.items;
    const [short, long] = [items.slice(0, 2), items.slice(2)];
    const capacities = [short, long].map((batch) => bucketTokens(rows.shapeOf(batch).tokens));
    expect(new Set(capacities).size).toBe(2);
    const runner = copying(workspace, capacities);
    await workspace.bind();
    for (const [batch, expected] of [
      [short, [-1, -2, -3, -4, -5, -11, -12, -13, -14]],
      [long, [-21, -22, -23, -24]],
      [short.slice(1), undefined],
    ] as const) {
      const run = runner.run('run', rows, batch, { counts: countsOf(rows.examplesOf(batch)) });
      if (expected === undefined) {
        await expect(run).rejects.toThrow('No bucket was planned for a micro-batch');
        continue;
      }
      const values = [...new Float32Array(await gpu.read(whole(await run)))];
      expect(values).toEqual([...expected, ...new Array(16 - expected.length).fill(0)]);
    }
    workspace.free();
  });
});

describe('rows of a step', () => {
  it('are as large as their layout: a prompt once or per answer, and a mismatched answer', () => {
    const [item] = rows.items;
    expect(rows.shapeOf([item])).toEqual({ tokens: 2 + 2 + 1, rows: 5, pairs: 1 });
    const apart = new StepRows(examples, { promptSharing: false });
    expect(apart.shapeOf([item])).toEqual({ tokens: 2 * 2 + 2 + 1, rows: 5, pairs: 1 });
    // The partner is the next row, whose chosen answer has 2 tokens.
    const mismatched = new StepRows(examples, { mismatched: true });
    expect(mismatched.shapeOf([item])).toEqual({ tokens: 2 + 2 + 1 + 1, rows: 7, pairs: 1 });
  });
});
