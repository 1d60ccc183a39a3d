/**
 * One rank of a job that trains a small model with several methods, one after the other:
 *
 *   mpirun -n N node --import tsx test/ranks/steps.ts STEPS METHOD...
 *
 * Rank 0 prints a line of JSON for every method. The same as a function, for a process of its own.
 */
import { download } from '../../src/autograd/tensor.ts';
import { Digest } from '../../src/digest.ts';
import { Gpu } from '../../src/gpu/device.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { jobOf } from '../../src/runtime/open-mpi.ts';
import { gatherValues, withRanks } from '../../src/runtime/ranks.ts';
import { openTrainer, randomPairs, runSteps } from '../support/trainer.ts';

export const LEARNING_RATE = 3e-5;

export interface MethodRun {
  readonly name: string;
  readonly losses: readonly number[];
  readonly norms: readonly number[];
  readonly evaluated: number;
  /** All weights, one after the other. */
  readonly weights: readonly number[];
  /** Of the weights, on every rank. */
  readonly digests: readonly string[];
}

/** Seven rows to a step, in micro-batches of at most `tokens`; the last step of an epoch has two. */
export async function trainMethod(gpu: Gpu, name: string, steps: number, tokens = 60): Promise<MethodRun> {
  const pairs = randomPairs(16, 13, 3, 10);
  const trainer = await openTrainer(gpu, {
    // beta-DPO draws without replacement; epsilon-DPO compares far from ties where the models differ.
    objective: { name, settings: name === 'tr-dpo' ? { tau: 5 } : {} },
    reference: 'test/fixtures/torch/tiny-llama-reference',
    train: pairs,
    eval: pairs.slice(0, 5),
    training: {
      learning_rate: LEARNING_RATE,
      max_steps: steps,
      per_device_train_batch_size: 7,
      max_tokens_per_micro_batch: tokens,
    },
  });
  const metrics = await runSteps(trainer, steps);
  const { eval_loss } = await trainer.evaluate();
  const weights: number[] = [];
  const digest = new Digest();
  for (const { master } of trainer.policy.trained?.parameters.values() ?? []) {
    const values = await download(gpu, master);
    weights.push(...values);
    await digest.add(new Uint8Array(values.buffer));
  }
  trainer.free();
  trainer.policy.free();
  return {
    name,
    losses: metrics.map(({ loss }) => loss),
    norms: metrics.map(({ grad_norm }) => grad_norm),
    evaluated: eval_loss,
    weights,
    digests: await gatherValues(gpu.runtime.ranks, await digest.hex()),
  };
}

const [steps, ...names] = process.argv.slice(2);
if (process.argv[1]?.endsWith('ranks/steps.ts')) {
  const job = jobOf(process.env);
  const gpu = await Gpu.open(withRanks(nodeRuntime(), job));
  for (const name of names) {
    const run = await trainMethod(gpu, name, Number(steps));
    if (job.rank === 0) console.log(JSON.stringify(run));
  }
  gpu.close();
  await job.finish();
}
