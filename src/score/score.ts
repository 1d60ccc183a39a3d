/**
 * `prefgrad score`: per-token log-probs, rewards and contributions of every row, one JSON line per row, in order. Rows
 * are read, packed a few at a time, scored and written, so memory does not grow with the file.
 */
import type { Columns } from '../data/columns.ts';
import { type DataReport, emptyReport, reportSchema } from '../data/data-report.ts';
import type { PairExample } from '../data/examples.ts';
import type { DataFormat } from '../data/formats.ts';
import { loadTokenizer } from '../data/load-tokenizer.ts';
import { type Outcome, streamOutcomes } from '../data/prepare.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { Truncation } from '../data/truncation.ts';
import { InputError } from '../errors.ts';
import { locateModel, type ModelLocation } from '../formats/model-location.ts';
import { Gpu } from '../gpu/device.ts';
import { checkComparable } from '../models/loading/comparable.ts';
import { loadLocated, loadWithAdapter } from '../models/loading/load-with-adapter.ts';
import { type ActiveObjective, activate } from '../objectives/choice.ts';
import { epsilonSteps, simplestObjective } from '../objectives/probes.ts';
import { findObjective } from '../objectives/registry.ts';
import type { BmcSettings } from '../objectives/token-weights/bmc.ts';
import { inOrder } from '../runtime/in-order.ts';
import { fromFirst, onAnyRank } from '../runtime/ranks.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { droppedLine, scoredLine } from './lines.ts';
import { LineOutput } from './output.ts';
import { type ScoreLine, type Shown, scoreRecords } from './record.ts';
import { PAIRS_TOGETHER, Scorer, type Vectors } from './scorer.ts';

/** What is scored, and what the lines say. */
export interface ScoringOptions {
  readonly model: string;
  /** Directory of a PEFT adapter on top of the model. */
  readonly adapter?: string | undefined;
  /** A file, a pattern, or a data set of the hub. */
  readonly data: string;
  /** Directory of a reference model. */
  readonly reference?: string | undefined;
  /** Directory of a PEFT adapter of the reference; without a reference it is on the model's own base. */
  readonly referenceAdapter?: string | undefined;
  /** Whose contributions are wanted; without it they are left out. */
  readonly objective?:
    | { readonly name: string; readonly settings?: Readonly<Record<string, unknown>> }
    | undefined;
  /** BMC's token weights; without it there are none. */
  readonly bmc?: BmcSettings | undefined;
  /** KL(model || reference) and entropy per token; ranks and this many of the most probable tokens. */
  readonly kl?: boolean;
  readonly entropy?: boolean;
  readonly top?: number;
  /** epsilon-DPO's criterion per pair, with a perturbation of this size. */
  readonly epsilon?: number | undefined;
  /** Rows are cut to this many tokens; without it nothing is cut. */
  readonly maxLength?: number | undefined;
  readonly maxPromptLength?: number | undefined;
  /** What a cut row keeps; keep_start unless given. */
  readonly truncation?: Truncation;
  /** Fields that have columns of another name. */
  readonly columns?: Columns;
  /** Form of the rows; auto unless given. */
  readonly format?: DataFormat;
  readonly chatTemplate?: string | undefined;
  readonly maxRows?: number | undefined;
  /** What a wrong row does: it ends the scoring (default), or has a line that says what is wrong. */
  readonly onBadRow?: 'error' | 'skip';
  /** The GPU; the best one unless given. */
  readonly device?: string | undefined;
}

export interface ScoreOptions extends ScoringOptions {
  /** A name that ends in .gz is written as gzip. */
  readonly out: string;
  /** Continue an output that was begun; replace one that is there. */
  readonly resume?: boolean;
  readonly force?: boolean;
  /** Called after every batch. */
  readonly progress?: (progress: ScoreProgress) => void;
  /** Asked after every batch; true ends the scoring, to be resumed later. */
  readonly shouldStop?: () => boolean;
}

export interface ScoreProgress {
  /** Rows with a line, those of an earlier run that is continued included. */
  readonly rows: number;
  /** Rows and response tokens that this process has scored. */
  readonly scored: number;
  readonly tokens: number;
}

export interface ScoreSummary extends DataReport {
  /** False when it was stopped. */
  readonly finished: boolean;
}

/**
 * @returns what became of the rows. The output file appears only when it is complete.
 * @throws InputError before anything is scored for options that do not fit, and for an output that is there already
 */
export async function scoreFile(runtime: Runtime, options: ScoreOptions): Promise<ScoreSummary> {
  const { files, ranks } = runtime;
  const inputs = await inputsOf(runtime, options);
  const open = () =>
    LineOutput.open<DataReport>(files, options.out, {
      state: reportSchema,
      madeFrom: madeFrom(options),
      resume: options.resume === true,
      force: options.force === true,
    });
  // Of several ranks the first writes, and says where all of them go on.
  const output = ranks.rank === 0 ? await open() : undefined;
  const begun = await fromFirst(ranks, async () => ({ isThere: output !== undefined, at: output?.resumed }));
  if (!begun.isThere) return { ...emptyReport(), finished: true };
  let written = begun.at ?? emptyReport();
  try {
    let [scored, tokens] = [0, 0];
    for await (const { lines, report } of linesOf(runtime, options, inputs, written)) {
      written = report;
      await output?.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(''), written);
      scored += lines.length;
      tokens += lines.reduce((sum, line) => sum + tokensOf(line), 0);
      options.progress?.({ rows: written.rows, scored, tokens });
      if (await onAnyRank(ranks, options.shouldStop?.() === true)) {
        await output?.stop(written);
        return { ...written, finished: false };
      }
    }
    await output?.finish();
    return { ...written, finished: true };
  } catch (error) {
    await output?.stop(written.rows > 0 ? written : undefined).catch(() => {});
    throw error;
  }
}

/** The lines of the file, one by one, without a file. @throws InputError for options or a row that are wrong */
export async function* scoreRows(runtime: Runtime, options: ScoringOptions): AsyncGenerator<ScoreLine> {
  const inputs = await inputsOf(runtime, options);
  for await (const { lines } of linesOf(runtime, options, inputs, emptyReport())) yield* lines;
}

/** What is known before the device is opened. */
interface Inputs {
  readonly objective: ActiveObjective;
  readonly location: ModelLocation;
  readonly tokenizer: Tokenizer;
}

/** @throws InputError for options that do not fit, and a model that is not there */
async function inputsOf({ files }: Runtime, options: ScoringOptions): Promise<Inputs> {
  const objective = chosenObjective(options);
  checkReference(options, objective);
  const location = await locateModel(files, options.model, options.adapter);
  return {
    objective,
    location,
    tokenizer: await loadTokenizer(files, location.tokenizer, options.chatTemplate),
  };
}

/** Rows that are scored together. */
interface Group {
  readonly rows: readonly Outcome[];
  /** Counts every row up to the last of these. */
  readonly report: DataReport;
}

/** The lines of a group. */
interface ScoredGroup {
  readonly lines: readonly ScoreLine[];
  readonly report: DataReport;
}

/**
 * Lines in the order of the rows, of a group at a time.
 * @param before - what became of the rows that an earlier run has scored, which are passed over
 */
async function* linesOf(
  runtime: Runtime,
  options: ScoringOptions,
  { objective, location, tokenizer }: Inputs,
  before: DataReport,
): AsyncGenerator<ScoredGroup> {
  const report = structuredClone(before);
  const gpu = await Gpu.open(runtime, { device: options.device });
  try {
    const scoring = await openScoring(gpu, options, location, objective, tokenizer);
    const outcomes = streamOutcomes(
      {
        files: runtime.files,
        path: options.data,
        tokenizer,
        columns: options.columns,
        format: options.format,
        expects: 'paired',
        maxLength: options.maxLength ?? scoring.maxPositions,
        maxPromptLength: options.maxPromptLength,
        truncation: options.truncation,
        refusesWeights: weightsRefusedBy(options, objective),
        diff: objective.needs.differences ?? 'levenshtein',
        modelVocabSize: scoring.vocabSize,
        limit: options.maxRows,
        skip: report.rows,
      },
      report,
    );
    const scored = inOrder(runtime.ranks, inGroups(outcomes, report, PAIRS_TOGETHER), async ({ rows }) => {
      if (options.onBadRow !== 'skip') for (const row of rows) if (row.kind === 'bad') throw row.error;
      return scoring.lines(rows);
    });
    for await (const { item, result } of scored) yield { lines: result, report: item.report };
  } finally {
    gpu.close();
  }
}

interface Scoring {
  readonly maxPositions: number;
  readonly vocabSize: number;
  /** The lines of a group with at most PAIRS_TOGETHER pairs. */
  lines(group: readonly Outcome[]): Promise<ScoreLine[]>;
}

/** Loads the models. */
async function openScoring(
  gpu: Gpu,
  options: ScoringOptions,
  location: ModelLocation,
  objective: ActiveObjective,
  tokenizer: Tokenizer,
): Promise<Scoring> {
  const { kl = false, entropy = false, top = 0, epsilon } = options;
  const positions = options.maxLength ?? Number.MAX_SAFE_INTEGER;
  const policy = await loadLocated(gpu, location, { dtype: 'auto', positions });
  const against = hasReference(options)
    ? await loadWithAdapter(gpu, options.reference ?? location.path, options.referenceAdapter, positions)
    : undefined;
  if (against !== undefined) checkComparable(policy.model, against.model, '--reference');
  const reference = against && { model: against.model, adapter: against.lora !== undefined };
  const parts = { gpu, policy: policy.model, reference, objective };
  const scorer = new Scorer({ ...parts, details: kl || entropy || top > 0 });
  const beta = objective.settings.beta;
  const probe =
    epsilon === undefined ? undefined : epsilonSteps({ epsilon, ...(typeof beta === 'number' && { beta }) });
  const prober = probe && new Scorer({ ...parts, objective: probe, details: false });
  const shown: Shown = {
    weights: options.bmc !== undefined,
    contributions: options.objective !== undefined,
    kl,
    entropy,
    top,
  };
  const showsLoss = options.objective !== undefined || hasReference(options);
  return {
    maxPositions: policy.config.maxPositions,
    vocabSize: policy.config.vocabSize,
    async lines(group) {
      const examples = group.flatMap((row) => (row.kind === 'example' ? [row.example as PairExample] : []));
      const vectors: Vectors = examples.length === 0 ? {} : await scorer.score(examples);
      const steps = examples.length === 0 ? undefined : (await prober?.score(examples))?.steps;
      const records = scoreRecords(examples, vectors, tokenizer, objective, shown);
      let pair = 0;
      return group.map((row) => {
        if (row.kind !== 'example') return droppedLine(row);
        const i = pair++;
        return scoredLine(row, records[i], {
          loss: showsLoss ? vectors.losses?.[i] : undefined,
          epsilon: probe && steps && stepOf(probe, Math.round(steps[i])),
        });
      });
    },
  };
}

/** The step of a pair and the beta that follows from it. */
function stepOf(
  { settings }: ActiveObjective,
  step: number,
): { epsilon: number; step: number; beta: number } {
  const epsilon = Number(settings.epsilon);
  return { epsilon, step, beta: Number(settings.beta) / (1 + epsilon * step) };
}

/** Weights that rows carry count in the contributions of a method that takes them; without any they are 1. */
function chosenObjective(options: ScoringOptions): ActiveObjective {
  const { objective, bmc } = options;
  if (objective === undefined) {
    const asked = { reference: hasReference(options), tokenWeights: bmc !== undefined };
    return activate({ name: simplestObjective(asked), bmc });
  }
  const { takesTokenWeights } = findObjective(objective.name);
  const dataWeights = takesTokenWeights && bmc === undefined ? true : undefined;
  return activate({ ...objective, bmc, dataWeights });
}

/** What to call a method that would pass over the weights of a row; undefined where none does. */
function weightsRefusedBy(
  { objective, bmc }: ScoringOptions,
  { needs }: ActiveObjective,
): string | undefined {
  if (objective === undefined || needs.dataWeights) return undefined;
  return bmc === undefined ? objective.name : `${objective.name} with BMC's weights`;
}

function hasReference({ reference, referenceAdapter }: ScoringOptions): boolean {
  return reference !== undefined || referenceAdapter !== undefined;
}

function checkReference(options: ScoringOptions, objective: ActiveObjective): void {
  if (hasReference(options)) return;
  const { kl, epsilon } = options;
  const asks = [
    ...(objective.needs.reference === 'none' ? [] : [`--objective ${objective.name}`]),
    ...(kl === true ? ['--kl'] : []),
    ...(epsilon === undefined ? [] : ['--epsilon']),
  ];
  const [first] = asks;
  if (first === undefined) return;
  throw new InputError(`${first} compares with a reference; give it with --reference DIR.`);
}

/** Everything the lines depend on; what may change when the scoring is continued is left out. */
function madeFrom(options: ScoreOptions): string {
  const { out: _, device: _device, resume: _resume, force: _force, onBadRow: _bad, ...rest } = options;
  return JSON.stringify(rest);
}

function tokensOf(line: ScoreLine): number {
  return 'dropped' in line ? 0 : line.chosen.token_ids.length + line.rejected.token_ids.length;
}

/**
 * Rows in order, cut behind every `pairs` pairs; rows without one ride along.
 * @param report - what `outcomes` counts the rows in that it has given
 */
async function* inGroups(
  outcomes: AsyncIterable<Outcome>,
  report: DataReport,
  pairs: number,
): AsyncGenerator<Group> {
  let rows: Outcome[] = [];
  let count = 0;
  for await (const outcome of outcomes) {
    rows.push(outcome);
    if (outcome.kind === 'example') count++;
    if (count < pairs && rows.length < 64 * pairs) continue;
    yield { rows, report: structuredClone(report) };
    [rows, count] = [[], 0];
  }
  if (rows.length > 0) yield { rows, report: structuredClone(report) };
}
