/** Runs a training job that is killed, goes on with it, and compares with the one that never was. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { readMetrics } from '../support/metrics.ts';

export type Moment = readonly ['submit' | 'file', number];

/** What a whole run leaves, as bytes; TensorBoard's events carry times and are left out. */
function resultOf(output: string): Record<string, string> {
  const files = ['model/adapter_model.safetensors', 'model/adapter_config.json'];
  return {
    metrics: JSON.stringify(readMetrics(join(output, 'metrics.jsonl'))),
    ...Object.fromEntries(files.map((name) => [name, readFileSync(join(output, name)).toString('base64')])),
  };
}

/** Runs the job in a process of its own. @returns how many submissions and file operations it made, if it lived */
export function runProcess(
  output: string,
  [kind, at]: Moment,
  resume = false,
): { submit: number; file: number } | undefined {
  const args = ['--import', 'tsx', 'test/train/killed-run.ts', output, kind, String(at)];
  if (resume) args.push('resume');
  const { signal, status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (signal === 'SIGKILL') return undefined;
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { submit: number; file: number };
}

/** The result of a run that was never stopped, and how many moments it has. */
export function wholeRun(folder: string) {
  const output = join(folder, 'whole');
  const counts = runProcess(output, ['file', 0]);
  if (counts === undefined) throw new Error('The run that should live was killed.');
  return { counts, expected: resultOf(output) };
}

/** Kills a run at `moment`, then resumes it from its checkpoint or, where it has none yet, starts it again. */
export function expectSurvives(folder: string, moment: Moment, expected: Record<string, string>): void {
  const output = join(folder, moment.join('-'));
  expect(runProcess(output, moment), 'the run was not killed').toBeUndefined();
  const hasCheckpoint = readdirSync(output).some((name) => /^checkpoint-\d+$/.test(name));
  expect(runProcess(output, ['file', 0], hasCheckpoint), 'the second run was killed').toBeDefined();
  expect(resultOf(output)).toEqual(expected);
}
