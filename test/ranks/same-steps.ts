/** Compares what several ranks compute with what one process does. */
import { expect } from 'vitest';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { mpirun } from '../support/mpirun.ts';
import { LEARNING_RATE, type MethodRun, trainMethod } from './steps.ts';

const STEPS = 20;

/** Of every method, in this process, made once. */
const alone = new Map<string, Promise<MethodRun>>();

async function runAlone(name: string): Promise<MethodRun> {
  const run = alone.get(name) ?? trainMethod(await testGpu(), name, STEPS);
  alone.set(name, Promise.resolve(run));
  return run;
}

/**
 * Losses to 1e-6, of themselves where they are larger than 1 as ipo's are; weights to 1e-6 and 2% of what the steps move, since
 * AdamW makes whole steps of noise near its epsilon.
 */
export async function expectSameRuns(methods: readonly string[], ranks: number): Promise<void> {
  const { code, stdout, stderr } = mpirun(ranks, [
    '--import',
    'tsx',
    'test/ranks/steps.ts',
    String(STEPS),
    ...methods,
  ]);
  expect(code, stderr).toBe(0);
  const runs = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as MethodRun);
  expect(runs.map(({ name }) => name)).toEqual(methods);
  for (const run of runs) {
    const expected = await runAlone(run.name);
    const apart = run.losses.map((loss, i) => {
      const wanted = expected.losses[i];
      return Math.abs(loss - wanted) / Math.max(1, Math.abs(wanted));
    });
    expect(Math.max(...apart), `losses of ${run.name}`).toBeLessThan(1e-6);
    expectClose(run.norms, expected.norms, 1e-4, `gradient norms of ${run.name}`);
    expectClose([run.evaluated], [expected.evaluated], 1e-6, `evaluation of ${run.name}`);
    const tolerance = 1e-6 + 0.02 * LEARNING_RATE * STEPS;
    const far = run.weights.filter((weight, i) => !(Math.abs(weight - expected.weights[i]) <= tolerance));
    expect(far, `weights of ${run.name}`).toHaveLength(0);
    expect(new Set(run.digests).size, `${run.name}: ranks with weights of their own`).toBe(1);
    expect(run.digests).toHaveLength(ranks);
  }
}
