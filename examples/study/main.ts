/**
 * The papers' comparison on a task and a model that fit a laptop:
 *
 *   npm run study              meant for two CPU cores and less than an hour
 *   npm run study -- --quick   minutes, to see that everything works; its numbers mean nothing
 *   npm run study -- --full    four more methods, more problems
 *
 * A study that was stopped goes on where it was. docs/replication.md tells what came out.
 */
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { detectRuntime, keepDevices } from '../../src/index.ts';
import { answerProblems } from './answers.ts';
import { type Choice, finalRuns, search, sweeps } from './compare.ts';
import { makePairs, trainBase, writeTask } from './data.ts';
import { makeFigures } from './figures.ts';
import { readRows, writeRows, writeText } from './files.ts';
import { Pace, workOf } from './pace.ts';
import { SIZES } from './plan.ts';
import { pathsIn, type Study } from './study.ts';
import { type Outcome, resultRows, resultTable } from './table.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
    out: { type: 'string' },
    'tune-on': { type: 'string', default: 'validation' },
  },
});
if (values['tune-on'] !== 'validation' && values['tune-on'] !== 'test')
  throw new RangeError(`--tune-on: expected validation or test, found ${values['tune-on']}`);
if (values['tune-on'] === 'test') {
  console.warn(
    'Warning: settings that are chosen on the test problems make its accuracies too high. Report none of these numbers.',
  );
}
const size = SIZES[values.quick ? 'quick' : values.full ? 'full' : 'standard'];
const started = Date.now();
const runtime = keepDevices(await detectRuntime());
const study: Study = {
  runtime,
  size,
  paths: pathsIn(values.out ?? `runs/study-${size.name}`),
  tuneOn: values['tune-on'],
  pace: new Pace(),
  note: (line) => console.log(`${((Date.now() - started) / 60_000).toFixed(1).padStart(6)} min  ${line}`),
};
const { paths, note, pace } = study;
await runtime.files.makeDirectory(`${paths.directory}/runs`);

await trainBase(study);
await makePairs(study);
await writeTask(study);
pace.plan(workOf(size, (await readRows(runtime.files, paths.pairs)).length));
const base = await answerProblems(study, paths.baseModel, 'test', size.test, paths.baseTest);

const choices: Choice[] = [];
const outcomes: Outcome[] = [{ name: 'base model', perSeed: [base] }];
for (const method of size.methods) {
  const choice = await search(study, method);
  choices.push(choice);
  const { learningRate, tried } = choice;
  outcomes.push({ name: method.name, learningRate, tried, perSeed: await finalRuns(study, choice) });
}
const rows = resultRows(outcomes);
await writeText(runtime.files, paths.table, resultTable(rows));
console.log(`\n${resultTable(rows)}`);

const bmc = choices.find(({ method }) => method.name === 'DPO-BMC');
if (bmc === undefined) throw new RangeError('The figures need DPO-BMC.');
await writeRows(runtime.files, paths.sweep, await sweeps(study, bmc));
const figures = await makeFigures(study, choices);
const device = await deviceOf(`${paths.base}/config.yaml`);
const record = {
  size: size.name,
  tuned_on: study.tuneOn,
  date: new Date().toISOString(),
  device,
  commit: commit(),
  minutes_of_this_process: Number(((Date.now() - started) / 60_000).toFixed(1)),
  seconds_per_pair: pace.secondsPer('pairs') ?? null,
  seconds_per_answer: pace.secondsPer('answers') ?? null,
  test_problems: size.test,
  rows,
};
await writeText(runtime.files, paths.result, `${JSON.stringify(record, null, 2)}\n`);
note(`${paths.result}, ${paths.table} and ${figures.length} files in ${paths.figures}`);
runtime.close();

/** As the run of the base model has recorded it. */
async function deviceOf(config: string): Promise<string> {
  return /^# device: (.+)$/m.exec(await runtime.files.readText(config))?.[1] ?? '';
}

function commit(): string {
  return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
}
