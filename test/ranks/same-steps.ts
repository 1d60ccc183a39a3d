/** Compares what several ranks compute with what one process does. */
import { expect } from 'vitest';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { mpirun } from '../support/mpirun.ts';
import { LEARNING_RATE, LENGTHS, type Length, type MethodRun, trainMethod } from './steps.ts';

/** Of every method and length, in this process, made once. */
const alone = new Map<string, Promise<MethodRun>>();

async function runAlone(name: string, length: Length): Promise<MethodRun> {
  const key = `${name} ${length}`;
  const run = alone.get(key) ?? trainMethod(await testGpu(), name, length);
  alone.set(key, Promise.resolve(run));
  return run;
}

/** Its loss is a difference of log-probs of whole answers, which it logs as rewards, and no beta makes it smaller. */
const OF_SUMS = 'slic';

/** From 8 on an ulp of f32 is about 1e-6: larger numbers agree to 1e-6 of themselves. */
const toleranceOf = (...numbers: number[]): number => {
  const largest = Math.max(...numbers.map(Math.abs));
  return 1e-6 * (largest < 8 ? 1 : largest);
};

function expectLoss(
  name: string,
  actual: Readonly<Record<string, number>>,
  expected: Readonly<Record<string, number>>,
  prefix: string,
): void {
  const [loss, wanted, ...terms] = [
    actual[`${prefix}loss`],
    expected[`${prefix}loss`],
    ...(name === OF_SUMS ? ['chosen', 'rejected'] : []).map((side) => expected[`${prefix}rewards/${side}`]),
  ];
  const limit = toleranceOf(wanted, ...terms);
  expect(Math.abs(loss - wanted), `${prefix}loss of ${name}: ${loss}, not ${wanted}`).toBeLessThanOrEqual(
    limit,
  );
}

/**
 * Losses of every step, and of the evaluation behind it, to 1e-6. Weights to 1e-6 and 2% of what the steps move, since AdamW
 * makes whole steps of noise near its epsilon.
 */
export async function expectSameRuns(
  methods: readonly string[],
  ranks: number,
  length: Length,
): Promise<void> {
  const { steps } = LENGTHS[length];
  const { code, stdout, stderr } = mpirun(ranks, [
    '--import',
    'tsx',
    'test/ranks/steps.ts',
    length,
    ...methods,
  ]);
  expect(code, stderr).toBe(0);
  const runs = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as MethodRun);
  expect(runs.map(({ name }) => name)).toEqual(methods);
  for (const run of runs) {
    const { name } = run;
    const expected = await runAlone(name, length);
    expect(run.metrics).toHaveLength(steps);
    for (const [i, metrics] of run.metrics.entries()) expectLoss(name, metrics, expected.metrics[i], '');
    expectLoss(name, run.evaluated, expected.evaluated, 'eval_');
    const [norms, wanted] = [run, expected].map(({ metrics }) => metrics.map(({ grad_norm }) => grad_norm));
    expectClose(norms, wanted, 1e-4, `gradient norms of ${name}`);
    const tolerance = 1e-6 + 0.02 * LEARNING_RATE * steps;
    const far = run.weights.filter((weight, i) => !(Math.abs(weight - expected.weights[i]) <= tolerance));
    expect(far, `weights of ${name}`).toHaveLength(0);
    expect(new Set(run.digests).size, `${name}: ranks with weights of their own`).toBe(1);
    expect(run.digests).toHaveLength(ranks);
  }
}
