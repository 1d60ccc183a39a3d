/** Compares what several ranks compute with what one process does. */
import { expect } from 'vitest';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { mpirun } from '../support/mpirun.ts';
import { BMC, LEARNING_RATE, type MethodRun, trainMethod } from './steps.ts';

/** Of every method and number of steps, in this process, made once. */
const alone = new Map<string, Promise<MethodRun>>();

async function runAlone(name: string, steps: number): Promise<MethodRun> {
  const key = `${name} ${steps}`;
  const run = alone.get(key) ?? trainMethod(await testGpu(), name, steps);
  alone.set(key, Promise.resolve(run));
  return run;
}

/** Their loss is a difference of log-probs of whole answers, which they log as rewards, and no beta makes it smaller. */
const OF_SUMS = ['figa', 'slic'];

/**
 * What the rounding of log-probs is multiplied by where that is more than 1: BMC weights are up to 1 + delta; beta-DPO's beta
 * follows the log ratios that it is multiplied with.
 */
const amplification = (name: string) => (name.endsWith(BMC) ? 3 : name === 'beta-dpo' ? 2 : 1);

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
    ...(OF_SUMS.includes(name) ? ['chosen', 'rejected'] : []).map(
      (side) => expected[`${prefix}rewards/${side}`],
    ),
  ];
  const limit = toleranceOf(wanted, ...terms) * amplification(name);
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
    const { name } = run;
    const expected = await runAlone(name, steps);
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
