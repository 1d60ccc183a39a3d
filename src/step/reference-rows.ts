/** What a reference says about every response token of a data set, computed once before training. */
import { allocateTensor, freeTensor, type Tensor, whole } from '../autograd/tensor.ts';
import { addShapes, packBatch, shapeOf } from '../data/batches.ts';
import type { Example } from '../data/examples.ts';
import type { Gpu } from '../gpu/device.ts';
import { Arena } from '../gpu/planner.ts';
import type { Program } from '../gpu/program.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import { BatchTensors, countsOf, FORWARD_FIELDS } from './batch-tensors.ts';
import { bucketTokens, cutStep, planBuckets } from './micro-batches.ts';
import { hiddenProgram, logpsProgram } from './programs.ts';

export interface ReferenceModel {
  readonly model: CausalLM;
  /** Is its LoRA update switched on? */
  readonly adapter: boolean;
}

/** Log-probs, per example in the order its answers are packed. */
export async function referenceLogps(
  gpu: Gpu,
  reference: ReferenceModel,
  examples: readonly Example[],
  maxTokens: number,
): Promise<Float32Array[]> {
  const results: Float32Array[] = [];
  const make: ProgramMaker = (arena, batch, into) => logpsProgram(gpu, arena, reference, batch, into);
  for await (const { indices, values } of referenceRows(gpu, examples, maxTokens, 1, make)) {
    let offset = 0;
    for (const i of indices) {
      const { rows } = shapeOf(examples[i]);
      results.push(values.slice(offset, offset + rows));
      offset += rows;
    }
  }
  return results;
}

/** Hidden states before the head, f32 [response tokens, hidden size], in the order of the data set, piece by piece. */
export async function* referenceHidden(
  gpu: Gpu,
  reference: ReferenceModel,
  examples: readonly Example[],
  maxTokens: number,
): AsyncGenerator<Float32Array> {
  const width = reference.model.config.hiddenSize;
  const make: ProgramMaker = (arena, batch, into) => hiddenProgram(gpu, arena, reference, batch, into);
  for await (const { values } of referenceRows(gpu, examples, maxTokens, width, make)) yield values;
}

type ProgramMaker = (arena: Arena, batch: BatchTensors, into: Tensor) => Program;

/** Runs a program over the data set in order; it leaves `width` numbers per response token in `into`. */
async function* referenceRows(
  gpu: Gpu,
  examples: readonly Example[],
  maxTokens: number,
  width: number,
  makeProgram: ProgramMaker,
): AsyncGenerator<{ readonly indices: readonly number[]; readonly values: Float32Array }> {
  const shapes = examples.map((e) => shapeOf(e));
  const limits = { stepSize: examples.length, maxExamples: 256, maxTokens };
  const batches = cutStep([...examples.keys()], (i) => shapes[i], limits);
  const sizes = batches.map((b) => b.map((i) => shapes[i]).reduce(addShapes));
  const arena = new Arena(gpu.memory);
  const buckets = new Map(
    [...planBuckets(sizes)].map(([tokens, capacity]) => {
      const batch = new BatchTensors(gpu, capacity, FORWARD_FIELDS);
      const shape = width === 1 ? [capacity.rows] : [capacity.rows, width];
      const into = allocateTensor(gpu, 'of the reference', shape, 'f32', 'reference');
      return [tokens, { batch, into, program: makeProgram(arena, batch, into) }];
    }),
  );
  arena.allocate();
  try {
    for (const bucket of buckets.values()) await bucket.program.bind();
    for (const [n, indices] of batches.entries()) {
      const bucket = buckets.get(bucketTokens(sizes[n].tokens));
      if (bucket === undefined) throw new RangeError('No bucket was planned for a reference batch.');
      const rows = indices.map((i) => examples[i]);
      bucket.batch.load(packBatch(rows, bucket.batch.capacity), { counts: countsOf(rows) });
      bucket.program.run();
      const bytes = await gpu.read(whole(bucket.into), 0, 4 * width * sizes[n].rows);
      yield { indices, values: new Float32Array(bytes) };
    }
  } finally {
    for (const { batch, into } of buckets.values()) {
      batch.free();
      freeTensor(gpu, into);
    }
    arena.free();
  }
}
