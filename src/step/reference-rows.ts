/** What a reference says about every response token of a data set, computed once before training. */
import { type Tensor, whole } from '../autograd/tensor.ts';
import { Workspace } from '../autograd/workspace.ts';
import { shapeOf } from '../data/batches.ts';
import type { Example } from '../data/examples.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Program } from '../gpu/program.ts';
import { type BatchTensors, countsOf, FORWARD_FIELDS } from './batch-tensors.ts';
import { BucketRunner } from './bucket-runner.ts';
import type { FrozenModel } from './forward.ts';
import { cutStep, type MicroBatch, planBuckets } from './micro-batches.ts';
import { hiddenProgram, logpsProgram } from './programs/reference.ts';
import { StepRows } from './step-rows.ts';

/** Examples that run together at most. */
const MAX_EXAMPLES = 256;

/** Log-probs, per example in the order its answers are packed. */
export async function referenceLogps(
  gpu: Gpu,
  reference: FrozenModel,
  examples: readonly Example[],
  maxTokens: number,
): Promise<Float32Array[]> {
  const results: Float32Array[] = [];
  for await (const { examples: batch, values } of overRows(gpu, reference, examples, maxTokens, 'logps')) {
    let offset = 0;
    for (const example of batch) {
      const { rows } = shapeOf(example);
      results.push(values.slice(offset, offset + rows));
      offset += rows;
    }
  }
  return results;
}

/** Hidden states before the head, f32 [response tokens, hidden size], in the order of the data set, piece by piece. */
export async function* referenceHidden(
  gpu: Gpu,
  reference: FrozenModel,
  examples: readonly Example[],
  maxTokens: number,
): AsyncGenerator<Float32Array> {
  for await (const { values } of overRows(gpu, reference, examples, maxTokens, 'hidden')) yield values;
}

/** Runs the reference over the data set in order. Ranks take one batch each in turn, and all have the values of every one. */
async function* overRows(
  gpu: Gpu,
  reference: FrozenModel,
  examples: readonly Example[],
  maxTokens: number,
  what: 'logps' | 'hidden',
): AsyncGenerator<{ readonly examples: readonly Example[]; readonly values: Float32Array }> {
  const { ranks } = gpu.runtime;
  const rows = new StepRows(examples);
  const limits = { stepSize: examples.length, maxExamples: MAX_EXAMPLES, maxTokens };
  const batches = cutStep(rows.items, (item) => rows.shapeOf([item]), limits);
  const workspace = new Workspace(gpu);
  const record = (batch: BatchTensors): { programs: { run: Program }; outputs: Tensor } => {
    const { rows: count } = batch.capacity;
    const shape = what === 'logps' ? [count] : [count, reference.model.config.hiddenSize];
    const into = workspace.tensor(`${what} of the reference`, shape, 'f32', 'reference');
    const make = what === 'logps' ? logpsProgram : hiddenProgram;
    return { programs: { run: make(workspace, reference, batch, into) }, outputs: into };
  };
  const capacities = planBuckets(batches.map((batch) => rows.shapeOf(batch))).values();
  const runner = new BucketRunner(workspace, capacities, { fields: FORWARD_FIELDS }, record);
  try {
    await workspace.bind();
    const run = async (batch: MicroBatch) => {
      const into = await runner.run('run', rows, batch, { counts: countsOf(rows.examplesOf(batch)) });
      const width = into.shape[1] ?? 1;
      return new Uint8Array(await gpu.read(whole(into), 0, 4 * width * rows.shapeOf(batch).rows));
    };
    for (let first = 0; first < batches.length; first += ranks.size) {
      const own = batches.at(first + ranks.rank);
      const values = await ranks.allGather(own === undefined ? new Uint8Array() : await run(own));
      for (const [i, batch] of batches.slice(first, first + ranks.size).entries())
        yield { examples: rows.examplesOf(batch), values: new Float32Array(values[i].buffer) };
    }
  } finally {
    workspace.free();
  }
}
