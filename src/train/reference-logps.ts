/** Reference log-probs of whole data sets, computed once before training. */
import { allocateTensor, freeTensor, whole } from '../autograd/tensor.ts';
import { addShapes, packBatch, shapeOf } from '../data/batches.ts';
import type { Example } from '../data/examples.ts';
import type { Gpu } from '../gpu/device.ts';
import { Arena } from '../gpu/planner.ts';
import type { Llama } from '../models/llama.ts';
import { BatchTensors, countsOf } from './batch-tensors.ts';
import { bucketTokens, cutStep, planBuckets } from './micro-batches.ts';
import { logpsProgram } from './step-programs.ts';

export interface ReferenceModel {
  readonly model: Llama;
  /** Is its LoRA update switched on? */
  readonly adapter: boolean;
}

/** Reference log-probs of every response token, per example in the order its answers are packed. */
export async function referenceLogps(
  gpu: Gpu,
  reference: ReferenceModel,
  examples: readonly Example[],
  maxTokens: number,
): Promise<Float32Array[]> {
  const shapes = examples.map((e) => shapeOf(e));
  const limits = {
    stepSize: examples.length,
    maxExamples: 256,
    maxTokens,
  };
  const batches = cutStep([...examples.keys()], shapes, limits);
  const sizes = batches.map((b) => b.map((i) => shapes[i]).reduce(addShapes));
  const arena = new Arena(gpu.memory);
  const buckets = new Map(
    [...planBuckets(sizes)].map(([tokens, capacity]) => {
      const batch = new BatchTensors(gpu, capacity);
      const into = allocateTensor(gpu, 'reference log-probs', [capacity.rows], 'f32', 'reference');
      const program = logpsProgram(gpu, arena, reference.model, reference.adapter, batch, into);
      return [tokens, { batch, into, program }];
    }),
  );
  arena.allocate();
  const results: Float32Array[] = [];
  for (const [n, indices] of batches.entries()) {
    const bucket = buckets.get(bucketTokens(sizes[n].tokens));
    if (bucket === undefined) throw new RangeError('No bucket was planned for a reference batch.');
    await bucket.program.bind();
    const rows = indices.map((i) => examples[i]);
    bucket.batch.load(packBatch(rows, bucket.batch.capacity), { counts: countsOf(rows) });
    bucket.program.run();
    const values = new Float32Array(await gpu.read(whole(bucket.into), 0, 4 * sizes[n].rows));
    let offset = 0;
    for (const i of indices) {
      results.push(values.slice(offset, offset + shapes[i].rows));
      offset += shapes[i].rows;
    }
  }
  for (const { batch, into } of buckets.values()) {
    batch.free();
    freeTensor(gpu, into);
  }
  arena.free();
  return results;
}
