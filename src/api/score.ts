/**
 * Scores of pairs: token log-probs, rewards and contributions, row by row.
 *
 *   for await (const row of score({ model: 'tuned', reference: 'base', data: 'pairs.jsonl' })) console.log(row.margin);
 */
import type { Columns } from '../data/columns.ts';
import type { DataFormat } from '../data/formats.ts';
import type { Truncation } from '../data/truncation.ts';
import { type BmcSettings, bmcSettings } from '../objectives/token-weights/bmc.ts';
import { detectRuntime } from '../runtime/index.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { ScoreLine } from '../score/record.ts';
import {
  type ScoreSummary,
  type ScoringOptions,
  scoreRows,
  scoreFile as writeScores,
} from '../score/score.ts';

export interface ScoreOptions {
  /** Model directory. */
  readonly model: string;
  /** Directory of a PEFT adapter on top of it. */
  readonly adapter?: string;
  /** Pairs: a file, a pattern, or a data set of the hub. */
  readonly data: string;
  /** Directory of a reference model; gives rewards and margins. */
  readonly reference?: string;
  /** Directory of a PEFT adapter of the reference; without `reference` it is on the model's own base. */
  readonly reference_adapter?: string;
  /** The method whose contributions are wanted. */
  readonly objective?:
    | string
    | { readonly name: string; readonly settings?: Readonly<Record<string, unknown>> };
  /** BMC's token weights; `bmc: {}` takes its defaults. */
  readonly bmc?: Partial<BmcSettings>;
  /** KL(model || reference) and entropy per token; ranks and this many of the most probable tokens. */
  readonly kl?: boolean;
  readonly entropy?: boolean;
  readonly top?: number;
  /** epsilon-DPO's criterion per pair, with a perturbation of this size. */
  readonly epsilon?: number;
  /** Most tokens of prompt and answer; without it nothing is cut. */
  readonly max_length?: number;
  readonly max_prompt_length?: number;
  readonly truncation?: Truncation;
  /** Fields that have columns of another name. */
  readonly columns?: Columns;
  readonly format?: DataFormat;
  readonly chat_template?: string;
  readonly max_rows?: number;
  /** What a wrong row does: it ends the scoring (default), or has a record that says what is wrong. */
  readonly on_bad_row?: 'error' | 'skip';
  /** The GPU: part of its name, or its number in the list of `prefgrad doctor`. Default: the best one. */
  readonly device?: string;
  /** Default: that of this process or page. */
  readonly runtime?: Runtime;
}

/** A row of scores, as `prefgrad score` writes it, or why the row has none. */
export type ScoreRow = ScoreLine;

/** Scores rows in order; memory does not grow with the data. @throws InputError for options or a row that are wrong */
export async function* score(options: ScoreOptions): AsyncGenerator<ScoreRow, void, undefined> {
  yield* scoreRows(options.runtime ?? (await detectRuntime()), scoringOptions(options));
}

export interface ScoreFileOptions extends ScoreOptions {
  /** JSON Lines; a name that ends in .gz is written as gzip. The file appears when it is complete. */
  readonly out: string;
  /** Continue an output that was begun; replace one that is there. */
  readonly resume?: boolean;
  readonly force?: boolean;
}

/** The same, into a file. @returns what became of the rows */
export async function scoreFile({ out, resume, force, ...options }: ScoreFileOptions): Promise<ScoreSummary> {
  const runtime = options.runtime ?? (await detectRuntime());
  return writeScores(runtime, { ...scoringOptions(options), out, resume, force });
}

function scoringOptions(options: ScoreOptions): ScoringOptions {
  const {
    runtime: _,
    objective,
    bmc,
    max_length,
    max_prompt_length,
    chat_template,
    reference_adapter,
    ...rest
  } = options;
  const { max_rows, on_bad_row, ...same } = rest;
  return {
    ...same,
    objective: typeof objective === 'string' ? { name: objective } : objective,
    bmc: bmc && bmcSettings.parse(bmc),
    referenceAdapter: reference_adapter,
    maxLength: max_length,
    maxPromptLength: max_prompt_length,
    chatTemplate: chat_template,
    maxRows: max_rows,
    onBadRow: on_bad_row,
  };
}
