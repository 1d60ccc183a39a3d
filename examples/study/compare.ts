/** The comparison: a search per method on the validation problems, then the best setting with several seeds on the test problems. */
import { train } from '../../src/index.ts';
import { type Answer, accuracyOf, answerProblems } from './answers.ts';
import { pairsWithShare } from './data.ts';
import { readRows } from './files.ts';
import { DELTA, type Method, withDelta } from './plan.ts';
import type { Study } from './study.ts';

/** One training run. */
export interface Trial {
  readonly name: string;
  readonly method: Method;
  readonly learningRate: number;
  readonly seed: number;
  /** Pairs; default: those of the study. */
  readonly pairs?: string;
  /** Evaluates on held-out pairs on the way, for figures over the steps. */
  readonly isWatched?: boolean;
}

/** Trains, unless it is done, and keeps only the model and the metrics. @returns the directory of the run */
export async function runTrial(study: Study, trial: Trial): Promise<string> {
  const { runtime, size, paths, pace } = study;
  const { method, learningRate, seed, isWatched = false } = trial;
  const output = paths.run(trial.name);
  const data = trial.pairs ?? paths.pairs;
  const pairs = size.epochs * (await readRows(runtime.files, data)).length;
  if (await runtime.files.exists(`${output}/run.json`)) {
    pace.add('pairs', pairs);
    return output;
  }
  await runtime.files.remove(output);
  const started = performance.now();
  const needsReference = !['sft', 'simpo', 'orpo'].includes(method.objective.name);
  await train(
    {
      model: { path: paths.baseModel },
      objective: method.objective,
      ...(needsReference && {
        reference: {
          mode: isWatched ? 'in_step' : 'auto',
          cache_dir: paths.referenceCache,
        },
      }),
      data: {
        train: data,
        ...(isWatched && { eval: paths.heldOut }),
        columns: method.objective.name === 'sft' ? { completion: method.chosen } : { chosen: method.chosen },
        max_length: 160,
      },
      training: {
        learning_rate: learningRate,
        num_train_epochs: size.epochs,
        per_device_train_batch_size: 16,
        gradient_checkpointing: false,
        max_tokens_per_micro_batch: 8192,
        logging_steps: 1,
        ...(isWatched && { eval_steps: 0.2, eval_samples: size.watched.prompts }),
      },
      ...(isWatched && { eval_tasks: [watchedTask(study)] }),
      output_dir: output,
      seed,
    },
    { runtime },
  );
  pace.add('pairs', pairs, (performance.now() - started) / 1000);
  return output;
}

/** The first validation problems, as a task that is asked while a run goes on. */
function watchedTask({ paths, size }: Study) {
  return {
    task: 'custom',
    task_file: paths.task,
    data: paths.questions,
    name: 'validation',
    max_rows: size.watched.problems,
  };
}

/** What a search has found. */
export interface Choice {
  readonly method: Method;
  readonly learningRate: number;
  /** Accuracy on the validation problems per learning rate that was tried. */
  readonly tried: Readonly<Record<string, number>>;
}

/** Tries every learning rate with the first seed. */
export async function search(study: Study, method: Method): Promise<Choice> {
  const { size, tuneOn, note } = study;
  const tried = new Map<number, number>();
  const [seed] = size.seeds;
  for (const learningRate of size.learningRates) {
    const run = await runTrial(study, {
      name: trialName(method, learningRate, seed),
      method,
      learningRate,
      seed,
    });
    const answers = await answerProblems(
      study,
      `${run}/model`,
      tuneOn,
      size[tuneOn],
      `${run}/${tuneOn}.jsonl`,
    );
    tried.set(learningRate, accuracyOf(answers));
    const accuracy = percent(accuracyOf(answers));
    note(`${method.name}, learning rate ${learningRate}: ${accuracy} on ${tuneOn}${forecast(study)}`);
  }
  const [[learningRate]] = [...tried].sort(([, a], [, b]) => b - a);
  return { method, learningRate, tried: Object.fromEntries(tried) };
}

/** The test answers of the chosen setting, one list per seed; the search's own run is that of the first seed. */
export async function finalRuns(study: Study, { method, learningRate }: Choice): Promise<Answer[][]> {
  const { size, note } = study;
  const perSeed: Answer[][] = [];
  for (const [i, seed] of size.seeds.entries()) {
    const name = trialName(method, learningRate, seed);
    const run = await runTrial(study, {
      name,
      method,
      learningRate,
      seed,
      isWatched: i === 1 && method.isWatched,
    });
    const answers = await answerProblems(study, `${run}/model`, 'test', size.test, `${run}/test.jsonl`);
    note(`${method.name}, seed ${seed}: ${percent(accuracyOf(answers))} on test${forecast(study)}`);
    perSeed.push(answers);
  }
  return perSeed;
}

/** A row of a sweep, as `prefgrad analyze --sweep` reads it. */
export interface SweepRow {
  readonly method: string;
  readonly accuracy: number;
  readonly share?: number;
  readonly delta?: number;
}

/** DPO-BMC over the share of bridged pairs and over delta, with the learning rate and the second seed of the comparison. */
export async function sweeps(study: Study, { method, learningRate }: Choice): Promise<SweepRow[]> {
  const { size, paths } = study;
  const [, seed] = size.seeds;
  const measure = async (trial: Trial): Promise<number> => {
    const run = await runTrial(study, trial);
    return accuracyOf(await answerProblems(study, `${run}/model`, 'test', size.test, `${run}/test.jsonl`));
  };
  const rows: SweepRow[] = [];
  for (const share of size.shares) {
    const pairs = await pairsWithShare(study, share);
    const name = `share-${share}`;
    rows.push({
      method: method.name,
      share,
      accuracy: await measure({ name, method, learningRate, seed, pairs }),
    });
  }
  for (const delta of size.deltas) {
    const weighted = { ...method, objective: withDelta(delta) };
    const name = `delta-${delta}`;
    rows.push({
      method: method.name,
      delta,
      accuracy: await measure({ name, method: weighted, learningRate, seed }),
    });
  }
  const path = `${paths.run(trialName(method, learningRate, seed))}/test.jsonl`;
  const compared = accuracyOf(await readRows<Answer>(study.runtime.files, path));
  return [
    ...rows,
    { method: method.name, share: 1, accuracy: compared },
    { method: method.name, delta: DELTA, accuracy: compared },
  ];
}

export const trialName = ({ name }: Method, learningRate: number, seed: number): string =>
  `${name.toLowerCase()}-lr${learningRate}-seed${seed}`;

/** How long the rest takes, as far as speeds are known. */
function forecast({ pace }: Study): string {
  const seconds = pace.secondsLeft;
  return seconds === undefined ? '' : `; some ${(seconds / 60).toFixed(seconds < 600 ? 1 : 0)} min left`;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
