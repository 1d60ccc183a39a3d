/** The papers' figures from the runs of the study, by the code of `prefgrad analyze`. */
import type { Result } from '../../src/analyze/figure.ts';
import { writeResults } from '../../src/analyze/output.ts';
import { type Named, readMaterial, type Sources } from '../../src/analyze/read.ts';
import { analyze } from '../../src/analyze/registry.ts';
import { type ScoreOptions, scoreFile } from '../../src/index.ts';
import { type Choice, trialName } from './compare.ts';
import type { Study } from './study.ts';

/** The methods of the figures over pairs. */
const SCORED = ['DPO', 'DPO-BC', 'DPO-MC', 'DPO-BMC'];

/** @returns the paths of the figures */
export async function makeFigures(study: Study, choices: readonly Choice[]): Promise<string[]> {
  const { runtime, size, paths } = study;
  const [, seed] = size.seeds;
  const trialOf = ({ method, learningRate }: Choice): Named => {
    const name = trialName(method, learningRate, seed);
    return { name, path: paths.run(name) };
  };
  const runOf = (choice: Choice): Named => ({ ...trialOf(choice), name: choice.method.name });
  const named = (names: readonly string[]) => choices.filter(({ method }) => names.includes(method.name));
  const scored: Named[] = [];
  const spans: Named[] = [];
  for (const choice of named(SCORED)) {
    const [before, after] = await scoresOf(study, choice, trialOf(choice));
    scored.push(after);
    // BMC averages over training; these are its beginning and its end.
    if (choice.method.name === 'DPO' || choice.method.name === 'DPO-BMC') spans.push(before, after);
  }
  const results = [
    ...(await made(study, ['bmc-2'], { scores: spans })),
    ...(await made(study, ['bmc-3', 'bmc-4'], { sweeps: [paths.sweep], metric: 'accuracy' })),
    ...(await made(study, ['bmc-5'], { scores: scored })),
    ...(await made(study, ['mipo-4'], { runs: named(['DPO', 'DPO-BMC', 'MIPO']).map(runOf) })),
    ...(await made(study, ['epsilon-3'], {
      runs: named(['epsilon-DPO']).map(runOf),
      metric: 'eval_validation_accuracy',
    })),
  ];
  return writeResults(runtime.files, paths.figures, results, { force: true });
}

async function made(
  { runtime }: Study,
  names: readonly string[],
  sources: Partial<Sources>,
): Promise<Result[]> {
  const none = { runs: [], scores: [], sweeps: [], reports: [], baseline: undefined, beta: 5 };
  const defaults = { ...none, metric: 'eval_rewards/accuracies', kl: 'eval_kl_chosen' };
  return analyze(names, await readMaterial(runtime.files, { ...defaults, ...sources }));
}

/** Scores of a method's own training pairs by the base model and by what it made of it. */
async function scoresOf(study: Study, { method }: Choice, run: Named): Promise<Named[]> {
  const { runtime, paths } = study;
  const { objective } = method;
  const options = {
    reference: paths.baseModel,
    data: paths.pairs,
    columns: { chosen: method.chosen },
    objective: { name: 'dpo', settings: objective.settings },
    ...(objective.bmc && { bmc: objective.bmc }),
    max_length: 160,
    runtime,
  } satisfies Partial<ScoreOptions>;
  await runtime.files.makeDirectory(`${paths.directory}/scores`);
  const named: Named[] = [];
  for (const [scores, model] of [
    [`${method.name.toLowerCase()}-before`, paths.baseModel],
    [run.name, `${run.path}/model`],
  ]) {
    const path = paths.scores(scores);
    await scoreFile({ ...options, model, out: path, resume: true });
    named.push({ name: method.name, path });
  }
  return named;
}
