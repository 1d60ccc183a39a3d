/** The stages before the comparison: solutions to learn from, the base model, its wrong answers, and their bridged edits. */
import { train } from '../../src/index.ts';
import { bridgeStep } from '../../src/preferences/bridge.ts';
import { runRows, writeReport } from '../../src/preferences/run-rows.ts';
import { answerProblems, MOST_TOKENS } from './answers.ts';
import { editor } from './editor.ts';
import { readRows, writeRows, writeText } from './files.ts';
import { writeModelDirectory } from './model.ts';
import { PROBLEM_SEEDS } from './plan.ts';
import type { Study } from './study.ts';
import { answerOf, NUMBERS, problemAt, promptOf, type Style, solutionOf } from './task.ts';

/** Eight solutions of ten are equations, so that this becomes the model's own style; the others make the rest known. */
const SFT_STYLES: readonly Style[] = [
  ...Array.from({ length: 8 }, (): Style => 'equations'),
  'sentences',
  'ledger',
];
/** The ground truth of the pairs. */
const TRUTH_STYLES: readonly Style[] = ['sentences', 'ledger'];

const SFT_BATCH = 32;

/** A row of the pairs, with the edit once it is bridged. */
export interface PairRow {
  readonly prompt: string;
  readonly chosen: string;
  readonly rejected: string;
  readonly chosen_bridged?: string;
}

/** SFT from random weights. */
export async function trainBase(study: Study): Promise<void> {
  const { runtime, size, paths, note } = study;
  const { files } = runtime;
  if (await files.exists(`${paths.base}/run.json`)) return;
  await writeModelDirectory(files, paths.init);
  const rows = Array.from({ length: size.sftRows }, (_, i) => {
    const problem = problemAt(PROBLEM_SEEDS.sft, i);
    return { prompt: promptOf(problem), completion: solutionOf(problem, SFT_STYLES[i % SFT_STYLES.length]) };
  });
  await writeRows(files, paths.sft, rows);
  const steps = Math.ceil(rows.length / SFT_BATCH);
  let first: { step: number; time: number } | undefined;
  await train(
    {
      model: { path: paths.init, init: 'random' },
      objective: { name: 'sft' },
      data: { train: paths.sft, max_length: 160 },
      training: {
        learning_rate: 3e-3,
        adam_beta2: 0.98,
        per_device_train_batch_size: SFT_BATCH,
        gradient_checkpointing: false,
        max_tokens_per_micro_batch: 8192,
        save_steps: 100,
        save_total_limit: 1,
      },
      output_dir: paths.base,
      seed: 1,
    },
    {
      runtime,
      resume: (await files.exists(paths.base)) && (await files.list(paths.base)).some(isCheckpoint),
      step: ({ step, logged }) => {
        first ??= { step, time: performance.now() };
        if (logged === undefined || step === first.step) return;
        const seconds = (performance.now() - first.time) / 1000 / (step - first.step);
        const left = ((seconds * (steps - step)) / 60).toFixed(1);
        note(`SFT step ${step} of ${steps}: loss ${logged.loss.toFixed(3)}; ${left} min left`);
      },
    },
  );
}

const isCheckpoint = (name: string): boolean => name.startsWith('checkpoint-');

/** The model's own wrong answers as rejected, the ground truth as chosen, and the edit between them. */
export async function makePairs(study: Study): Promise<void> {
  const { runtime, size, paths, note } = study;
  const { files } = runtime;
  if (await files.exists(paths.heldOut)) return;
  const answers = await answerProblems(study, paths.baseModel, 'pool', size.pool, paths.pool);
  const rows = answers.flatMap(({ prompt, answer, isRight }, i): PairRow[] => {
    if (isRight) return [];
    const chosen = solutionOf(problemAt(PROBLEM_SEEDS.pool, i), TRUTH_STYLES[i % TRUTH_STYLES.length]);
    return [{ prompt, chosen, rejected: answer }];
  });
  await writeRows(files, paths.unbridged, rows);
  const step = bridgeStep({ editor, direction: 'bridge', withReference: false, proportion: 1, seed: 0 });
  const report = await runRows(step, {
    files,
    rows: paths.unbridged,
    out: paths.bridged,
    resume: await files.exists(paths.bridged),
    window: 16,
    onBadRow: 'error',
  });
  await writeReport(files, paths.bridged, { ...report });
  const bridged = await readRows<PairRow>(files, paths.bridged);
  const training = bridged.length - size.heldOutPairs;
  note(`${answers.length} answers, ${rows.length} of them wrong; ${bridged.length} pairs have an edit.`);
  await writeRows(files, paths.pairs, bridged.slice(0, training));
  await writeRows(files, paths.heldOut, bridged.slice(training));
}

/** The validation problems as a task of `prefgrad evaluate`: the answer is the last number. */
export async function writeTask({ runtime, size, paths }: Study): Promise<void> {
  const { files } = runtime;
  const problems = Array.from({ length: size.validation }, (_, i) => problemAt(PROBLEM_SEEDS.validation, i));
  await writeRows(
    files,
    paths.questions,
    problems.map((problem) => ({ problem: promptOf(problem), answer: NUMBERS[answerOf(problem)] })),
  );
  await writeText(
    files,
    paths.task,
    [
      'prompt: "{problem}"',
      `max_new_tokens: ${MOST_TOKENS}`,
      `extraction: {pattern: ".*\\\\b(${NUMBERS.join('|')})\\\\b"}`,
      'comparison: exact',
      '',
    ].join('\n'),
  );
}

/** Training pairs of which a share is bridged, drawn by their place; the others keep the ground truth. */
export async function pairsWithShare(study: Study, share: number): Promise<string> {
  const { files } = study.runtime;
  const path = study.paths.share(share);
  const rows = await readRows<PairRow>(files, study.paths.pairs);
  const isBridged = (i: number) => Math.floor((i + 1) * share) > Math.floor(i * share);
  await writeRows(
    files,
    path,
    rows.map((row, i) => (isBridged(i) ? row : { ...row, chosen_bridged: row.chosen })),
  );
  return path;
}
