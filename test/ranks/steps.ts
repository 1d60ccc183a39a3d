/**
 * One rank of a job that trains the quickstart's model on rows of the quickstart with several methods, one after the other:
 *
 *   mpirun -n N node --import tsx test/ranks/steps.ts short|long METHOD...
 *
 * A method is the name of an objective, with +bmc behind it for BMC weights. Rank 0 prints a line of JSON for every method.
 * The same as a function, for a process of its own.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
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

/** How much is trained, at most 32 tokens to prompt and answer. */
export const LENGTHS = {
  // An epoch, of which the last step has two rows, fewer than three ranks.
  short: { steps: 5, batch: 4, microBatchTokens: 120, rows: 18, evalRows: 4 },
  // Steps, and an evaluation, of as many rows as real runs have: the mean over them is rounded less than one over a few.
  long: { steps: 20, batch: 32, microBatchTokens: 400, rows: 64, evalRows: 32 },
} as const;

export type Length = keyof typeof LENGTHS;

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

const rowSchema = z.object({ prompt: z.string(), chosen: z.string(), rejected: z.string() });

/**
 * A row of the quickstart from a few words before its answers part: what both say alike would cost most of the time.
 */
function shortRow(line: string): string {
  const { prompt, ...answers } = rowSchema.parse(JSON.parse(line));
  const wordsOf = (answer: string) => (prompt + answer).split(/(?= )/);
  const [chosen, rejected] = [wordsOf(answers.chosen), wordsOf(answers.rejected)];
  const end = chosen.findIndex((word, i) => word !== rejected[i]);
  const row = {
    prompt: chosen
      .slice(end - 4, end)
      .join('')
      .trim(),
    chosen: chosen.slice(end).join(''),
    rejected: rejected.slice(end).join(''),
  };
  return `${JSON.stringify(row)}\n`;
}

/** A file of such rows, which every rank writes alike. */
function rowsFile(start: number, end: number): string {
  const lines = readFileSync('examples/quickstart/train.jsonl', 'utf8').split('\n');
  const file = join(tmpdir(), `prefgrad-rows-${start}-${end}.jsonl`);
  const own = `${file}.${process.pid}`;
  writeFileSync(own, lines.slice(start, end).map(shortRow).join(''));
  renameSync(own, file);
  return file;
}

function configOf(name: string, length: Length) {
  const { steps, batch, microBatchTokens, rows, evalRows } = LENGTHS[length];
  const objective = name.endsWith(BMC)
    ? { name: name.slice(0, -BMC.length), bmc: {} }
    : { name, settings: name === 'tr-dpo' ? { tau: 5 } : {} };
  return trainConfigFrom({
    model: { path: 'examples/stories260K' },
    objective,
    data: { train: rowsFile(0, rows), eval: rowsFile(rows, rows + evalRows), max_length: 32 },
    training: {
      learning_rate: LEARNING_RATE,
      max_steps: steps,
      per_device_train_batch_size: batch,
      max_tokens_per_micro_batch: microBatchTokens,
      lr_scheduler_type: 'linear',
      warmup_ratio: 0.1,
    },
    output_dir: 'runs/none',
  });
}

export async function trainMethod(gpu: Gpu, name: string, length: Length): Promise<MethodRun> {
  const { trainer, close } = await prepareRun(gpu, configOf(name, length), () => {});
  await trainer.warmUp();
  const metrics = await runSteps(trainer, LENGTHS[length].steps);
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

const [length, ...names] = process.argv.slice(2);
if (process.argv[1]?.endsWith('ranks/steps.ts')) {
  const job = jobOf(process.env);
  const gpu = await Gpu.open(withRanks(nodeRuntime(), job));
  for (const name of names) {
    const run = await trainMethod(gpu, name, length === 'short' ? 'short' : 'long');
    if (job.rank === 0) console.log(JSON.stringify(run));
  }
  gpu.close();
  await job.finish();
}
