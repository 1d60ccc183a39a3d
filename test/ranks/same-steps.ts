/** Compares what several ranks compute with what one process does. */
import { expect } from 'vitest';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { mpirun } from '../support/mpirun.ts';
import { LEARNING_RATE, type MethodRun, trainMethod } from './steps.ts';

/** Of every method and number of steps, in this process, made once. */
const alone = new Map<string, Promise<MethodRun>>();

async function runAlone(name: string, steps: number): Promise<MethodRun> {
  const key = `${name} ${steps}`;
  const run = alone.get(key) ?? trainMethod(await testGpu(), name, steps);
  alone.set(key, Promise.resolve(run));
  return run;
}

/** The largest difference of two losses, that of the evaluation too, of themselves where they are larger than 1 as ipo's are. */
function distance(run: MethodRun, other: MethodRun): number {
  const [losses, wanted] = [run, other].map((of) => [...of.losses, of.evaluated]);
  return Math.max(...losses.map((loss, i) => Math.abs(loss - wanted[i]) / Math.max(1, Math.abs(wanted[i]))));
}

/** How far one process is from itself when it cuts its steps into other micro-batches, and adds up in another order. */
async function noiseOf(name: string, steps: number): Promise<number> {
  const run = await runAlone(name, steps);
  const gpu = await testGpu();
  const apart: number[] = [];
  for (const tokens of [35, 200]) apart.push(distance(await trainMethod(gpu, name, steps, tokens), run));
  return Math.max(...apart);
}

/**
 * Losses to 1e-6 or, where f32 leaves more than that open (simpo's loss of 1.6 is a difference of rewards near 19, of which an
 * ulp is 1.9e-6), to twice what one process leaves open. Weights to 1e-6 and 2% of what the steps move, since AdamW makes whole
 * steps of noise near its epsilon.
 */
export async function expectSameRuns(
  methods: readonly string[],
  ranks: number,
  steps: number,
): Promise<void> {
  const { code, stdout, stderr } = mpirun(ranks, [
    '--import',
    'tsx',
    'test/ranks/steps.ts',
    String(steps),
    ...methods,
  ]);
  expect(code, stderr).toBe(0);
  const runs = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as MethodRun);
  expect(runs.map(({ name }) => name)).toEqual(methods);
  for (const run of runs) {
    const expected = await runAlone(run.name, steps);
    const apart = distance(run, expected);
    if (apart >= 1e-6)
      expect(apart, `losses of ${run.name}`).toBeLessThan(2 * (await noiseOf(run.name, steps)));
    expectClose(run.norms, expected.norms, 1e-4, `gradient norms of ${run.name}`);
    const tolerance = 1e-6 + 0.02 * LEARNING_RATE * steps;
    const far = run.weights.filter((weight, i) => !(Math.abs(weight - expected.weights[i]) <= tolerance));
    expect(far, `weights of ${run.name}`).toHaveLength(0);
    expect(new Set(run.digests).size, `${run.name}: ranks with weights of their own`).toBe(1);
    expect(run.digests).toHaveLength(ranks);
  }
}
