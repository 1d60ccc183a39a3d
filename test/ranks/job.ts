/** `prefgrad train` on ranks, as tests start it. */
import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { takeLock } from '../../src/runtime/file-lock.ts';
import { type TrainConfigInput, trainConfigFrom } from '../../src/train/config.ts';

export const CONFIG = {
  model: { path: 'examples/stories260K' },
  objective: { name: 'dpo' },
  data: {
    train: 'examples/quickstart/train.jsonl',
    eval: 'examples/quickstart/eval.jsonl',
    max_length: 96,
    max_rows: 6,
  },
  training: {
    learning_rate: 3e-5,
    max_steps: 4,
    per_device_train_batch_size: 4,
    save_steps: 2,
    logging_steps: 1,
    lr_scheduler_type: 'constant' as const,
    warmup_ratio: 0,
  },
};

/** Without reference and evaluation: what compiles least. */
export const SMALLEST = {
  ...CONFIG,
  objective: { name: 'simpo' },
  data: { ...CONFIG.data, eval: undefined },
};

type JobConfig = Omit<TrainConfigInput, 'output_dir'>;

/** The same as an object, for a run in this process. */
export function configOf(output: string, config: JobConfig = CONFIG) {
  return trainConfigFrom({ ...config, output_dir: output });
}

/** The arguments of node that train into `folder/name`. */
export function argsOf(
  config: JobConfig,
  folder: string,
  name: string,
  ...more: readonly string[]
): string[] {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, stringify(config));
  return ['bin/prefgrad.js', 'train', file, '--set', `output_dir=${join(folder, name)}`, ...more];
}

/** mpirun does not wait for what it kills: a rank may hold the lock of its run a moment longer. */
export async function whenUnlocked(output: string): Promise<void> {
  const take = () => takeLock(join(output, '.lock'));
  let release = await take();
  while (release === null) {
    await sleep(100);
    release = await take();
  }
  await release();
}

/** Names of the checkpoints in the directory of a run, whole or not. */
export function checkpointsOf(output: string): string[] {
  return readdirSync(output).filter((file) => file.startsWith('checkpoint'));
}

/** A run as it was after its second step. */
export function copyAtStep2(folder: string, from: string, to: string): void {
  cpSync(join(folder, from), join(folder, to), { recursive: true });
  for (const later of ['model', 'checkpoint-4', 'run.json'])
    rmSync(join(folder, to, later), { recursive: true, force: true });
}
