/**
 * One rank of a job that trains the quickstart's model on rows of the quickstart with several methods, one after the other:
 *
 *   mpirun -n N node --import tsx test/ranks/steps.ts STEPS METHOD...
 *
 * A method is the name of an objective, with +bmc behind it for BMC weights. Rank 0 prints a line of JSON for every method.
 * The same as a function, for a process of its own.
 */
import { download } from '../../src/autograd/tensor.ts';
import { Digest } from '../../src/digest.ts';
import { Gpu } from '../../src/gpu/device.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';
import { jobOf } from '../../src/runtime/open-mpi.ts';
import { gatherValues, withRanks } from '../../src/runtime/ranks.ts';
import { trainConfigFrom } from '../../src/train/config.ts';
import { prepareRun } from '../../src/train/prepare-run.ts';
import { runSteps } from '../support/trainer.ts';

export const LEARNING_RATE = 3e-5;

/** What stands behind the name of an objective that gets BMC weights. */
export const BMC = '+bmc';

export interface MethodRun {
  readonly name: string;
  /** What `metrics.jsonl` would have of every step. */
  readonly metrics: readonly Readonly<Record<string, number>>[];
  readonly evaluated: Readonly<Record<string, number>>;
  /** All weights, one after the other. */
  readonly weights: readonly number[];
  /** Of the weights, on every rank. */
  readonly digests: readonly string[];
}

function configOf(name: string, steps: number) {
  const objective = name.endsWith(BMC)
    ? { name: name.slice(0, -BMC.length), bmc: {} }
    : { name, settings: name === 'tr-dpo' ? { tau: 5 } : {} };
  return trainConfigFrom({
    model: { path: 'examples/stories260K' },
    objective,
    // Four to a step; 18 are trained on, so that the last step of an epoch has two, fewer than three ranks.
    data: { train: 'examples/quickstart/train.jsonl', max_length: 112, max_rows: 22, eval_fraction: 0.18 },
    training: {
      learning_rate: LEARNING_RATE,
      max_steps: steps,
      per_device_train_batch_size: 4,
      // Two rows to a micro-batch.
      max_tokens_per_micro_batch: 400,
      lr_scheduler_type: 'linear',
      warmup_ratio: 0.1,
    },
    output_dir: 'runs/none',
  });
}

export async function trainMethod(gpu: Gpu, name: string, steps: number): Promise<MethodRun> {
  const { trainer, close } = await prepareRun(gpu, configOf(name, steps), () => {});
  await trainer.warmUp();
  const metrics = await runSteps(trainer, steps);
  const evaluated = await trainer.evaluate();
  const weights: number[] = [];
  const digest = new Digest();
  for (const { master } of trainer.policy.trained?.parameters.values() ?? []) {
    const values = await download(gpu, master);
    weights.push(...values);
    await digest.add(new Uint8Array(values.buffer));
  }
  trainer.free();
  trainer.policy.free();
  await close();
  const digests = await gatherValues(gpu.runtime.ranks, await digest.hex());
  return { name, metrics, evaluated, weights, digests };
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
