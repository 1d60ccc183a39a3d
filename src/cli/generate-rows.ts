/** `prefgrad generate --prompts`: every row with a completion, written as they come. */
import type { ChatTemplate } from '../data/chat-template.ts';
import { type Columns, readColumns } from '../data/columns.ts';
import type { JsonObject } from '../data/json.ts';
import type { RawRow } from '../data/sources/raw-row.ts';
import { readRows } from '../data/sources/read-rows.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { InputError } from '../errors.ts';
import type { Engine } from '../generate/engine.ts';
import type { FinishReason } from '../generate/request.ts';
import { submitText, type TextRequest } from '../generate/text-generation.ts';
import { openTextModel, readTextFacts, type TextFacts, templateOf } from '../generate/text-model.ts';
import { answerLike, type Prompt, readPrompt } from '../preferences/dialogue.ts';
import { droppedPath, removeOutput } from '../preferences/output.ts';
import type { RowStep } from '../preferences/row-step.ts';
import { type RowReport, runRows, writeReport } from '../preferences/run-rows.ts';
import { gatherValues } from '../runtime/ranks.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Cli } from './context.ts';
import { EXIT } from './failure.ts';
import { listenForInterrupt } from './interrupt.ts';
import { lengthSummary, lengthText } from './length-summary.ts';
import { metric } from './units.ts';

export interface GenerateSettings {
  readonly model: string;
  readonly adapter?: string;
  readonly device?: string;
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly seed: number;
  readonly stop: readonly string[];
  readonly batchSize: number;
}

export interface GenerateRowsOptions extends GenerateSettings {
  readonly prompts: string;
  readonly out: string;
  readonly resume: boolean;
  readonly force: boolean;
  readonly onBadRow: 'error' | 'skip';
  readonly column?: Columns;
}

/** A prompt as the engine takes it. */
interface EncodedPrompt {
  readonly prompt: Prompt;
  readonly ids: readonly number[];
}

/** Rows read ahead of the first unfinished one, for each that decodes: long answers shall not hold up short ones. */
const WINDOW = 4;

/** Bad rows that are listed with their reason. */
const MOST_LISTED = 20;

/** How a request of these settings continues a prompt. */
export function requestOf(settings: GenerateSettings, tokenizer: Tokenizer): Omit<TextRequest, 'prompt'> {
  const { maxNewTokens: maxTokens, temperature, topK, topP, minP, repetitionPenalty, seed, stop } = settings;
  const sampling = { temperature, topK, topP, minP, repetitionPenalty, seed };
  return { maxTokens, sampling, stop, stopIds: tokenizer.eosIds };
}

/** A prompt as `train` would template it. @throws InputError for one that the model cannot continue */
export function encodePrompt(
  prompt: Prompt,
  { tokenizer, positions, vocabulary }: TextFacts,
  template: () => ChatTemplate,
  raw: RawRow,
): number[] {
  const where = `${raw.file}:${raw.line}`;
  const ids =
    typeof prompt === 'string'
      ? tokenizer.encodePrompt(prompt)
      : template().encode(prompt, [], raw).promptIds;
  if (ids.length === 0) throw new InputError(`${where}: the prompt has no tokens; give it some text`);
  if (ids.length >= positions)
    throw new InputError(
      `${where}: the prompt has ${ids.length} tokens, but the model has ${positions} positions; shorten it`,
    );
  const outside = ids.find((id) => id >= vocabulary);
  if (outside !== undefined)
    throw new InputError(
      `${where}: token id ${outside} ('${tokenizer.tokenText(outside)}') lies outside of the model's vocabulary of ` +
        `${vocabulary}; use the tokenizer that belongs to the model`,
    );
  return ids;
}

/** @throws InputError for settings, model, device or output that are wrong; bad rows are counted and listed instead */
export async function generateRows(cli: Cli, runtime: Runtime, options: GenerateRowsOptions): Promise<void> {
  const { files } = runtime;
  const { out, resume, force } = options;
  if (resume && force) throw new InputError('--resume and --force exclude each other.');
  const { replaceable } = await files.outputTarget(out);
  if (!resume && !force && replaceable && (await files.exists(out)))
    throw new InputError(`${out}: is there already. Go on with it by --resume, or replace it by --force.`);
  await checkReadable(runtime, options);
  const facts = await readTextFacts(files, options.model, options.adapter);
  const model = await openTextModel(runtime, { ...options, maxSequences: options.batchSize }, facts);
  const interrupt = listenForInterrupt(() =>
    cli.err('Stopping after the rows under way; once more to stop at once.\n'),
  );
  try {
    if (force) await removeOutput(files, out);
    const started = performance.now();
    const report = await runRows(stepOf(options, facts, model.engine), {
      files,
      ranks: runtime.ranks,
      rows: options.prompts,
      out,
      resume,
      window: WINDOW * options.batchSize,
      onBadRow: 'skip',
      progress: ({ written, bad }) =>
        cli.terminal?.write(`\r\u001b[K${written} rows written${bad === 0 ? '' : `, ${bad} bad`}`),
      shouldStop: () => interrupt.requested,
    });
    cli.terminal?.write('\r\u001b[K');
    const seconds = (performance.now() - started) / 1000;
    const ofRanks = await gatherValues(runtime.ranks, model.engine.statistics.generatedTokens);
    const tokens = ofRanks.reduce((sum, own) => sum + own);
    await tell(cli, runtime, options, report, tokens, seconds);
  } finally {
    interrupt.release();
    await model.close();
  }
}

/** @throws InputError for a file that cannot be read to its end: then nothing is generated */
async function checkReadable(
  { files }: Runtime,
  { prompts, column = {} }: GenerateRowsOptions,
): Promise<void> {
  for await (const _ of readRows(files, prompts, readColumns(column)));
}

function stepOf(options: GenerateRowsOptions, facts: TextFacts, engine: Engine): RowStep<EncodedPrompt> {
  const { prompts: rows, model, adapter, column } = options;
  const { tokenizer } = facts;
  const template = templateOf(tokenizer);
  const { maxTokens: max_new_tokens, sampling, stop } = requestOf(options, tokenizer);
  return {
    settings: {
      command: 'generate',
      ...{ rows, model, adapter: adapter ?? null, max_new_tokens, ...sampling, stop, columns: column ?? {} },
    },
    read(raw) {
      const prompt = readPrompt(raw, column);
      return { prompt, ids: encodePrompt(prompt, facts, template, raw) };
    },
    // No endpoint is asked.
    requests: () => [],
    async run({ prompt, ids }, index, raw) {
      // Row i draws from stream i, wherever a run begins.
      const request = { ...requestOf(options, tokenizer), prompt: ids, firstSample: index };
      const tokens: number[] = [];
      let text = '';
      let reason: FinishReason = 'cancelled';
      for await (const event of submitText(engine, tokenizer, request)) {
        if (event.kind === 'prompt') continue;
        text += event.text;
        if (event.kind === 'text') tokens.push(event.token);
        else reason = event.reason;
      }
      const completion = answerLike(prompt, text);
      return {
        kind: 'row',
        value: { ...raw.value, index, completion, finish_reason: reason, token_ids: tokens },
      };
    },
    summary: lengthSummary,
  };
}

async function tell(
  cli: Cli,
  { files }: Runtime,
  { out, onBadRow }: GenerateRowsOptions,
  report: RowReport,
  tokens: number,
  seconds: number,
): Promise<void> {
  const speed = { tokens, seconds, tokens_per_second: tokens / seconds };
  await writeReport(files, out, { ...report, this_run: speed });
  cli.err(`${out}: ${report.written} rows. ${lengthText(report.summary)}\n`);
  cli.err(`${tokens} tokens in ${metric(seconds)} s, ${metric(speed.tokens_per_second)} tokens/s.\n`);
  if (report.bad > 0) {
    const isListed = await files.exists(droppedPath(out));
    cli.err(`${report.bad} bad rows were left out${isListed ? ` (${droppedPath(out)}):` : '.'}\n`);
    for (const message of await badRows(files, out)) cli.err(`  ${message}\n`);
    if (onBadRow === 'error') cli.exitCode = EXIT.wrongInput;
  }
  if (report.interrupted) cli.exitCode = EXIT.interrupted;
}

async function badRows(files: Runtime['files'], out: string): Promise<string[]> {
  const messages: string[] = [];
  if (!(await files.exists(droppedPath(out)))) return messages;
  for await (const { value } of readRows(files, droppedPath(out))) {
    if (messages.length === MOST_LISTED) return [...messages, '...'];
    messages.push(String((value as JsonObject).message));
  }
  return messages;
}
