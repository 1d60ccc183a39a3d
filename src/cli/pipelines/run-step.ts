/** Runs a pipeline for a command: dry run, progress, report, exit code. */
import type { JsonObject } from '../../data/json.ts';
import { InputError } from '../../errors.ts';
import type { LlmClient } from '../../llm/client.ts';
import { Estimate } from '../../llm/estimate.ts';
import { UsageLedger } from '../../llm/ledger.ts';
import { droppedPath, isContinuable, removeOutput, usagePath } from '../../preferences/output.ts';
import type { RowStep } from '../../preferences/row-step.ts';
import {
  type RowCounts,
  type RowReport,
  runRows,
  sourceRows,
  writeReport,
} from '../../preferences/run-rows.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { VERSION } from '../../version.ts';
import type { Cli } from '../context.ts';
import { EXIT } from '../failure.ts';
import { listenForInterrupt } from '../interrupt.ts';
import { metric } from '../units.ts';
import type { EndpointOptions, RowOptions } from './options.ts';

/** Rows between two lines of progress where no terminal is there to be redrawn. */
const LINE_EVERY = 100;

export async function runStep<T>(
  cli: Cli,
  runtime: Runtime,
  step: RowStep<T>,
  options: RowOptions & EndpointOptions,
  client: LlmClient | undefined,
): Promise<void> {
  if (options.dryRun) {
    cli.out(
      client === undefined
        ? 'No endpoint would be asked.\n'
        : `${await dryRun(runtime, step, options, client)}\n`,
    );
    return;
  }
  if (options.resume && options.force) throw new InputError('--resume and --force exclude each other.');
  const { files } = runtime;
  if (options.force) await removeOutput(files, options.out);
  if (client !== undefined && (await isContinuable(files, options.out)))
    client.keepAccounts(await UsageLedger.open(files, usagePath(options.out), options.resume ?? false));
  const interrupt = listenForInterrupt(() =>
    cli.err('Stopping after the rows under way; once more to stop at once.\n'),
  );
  const progress = new Progress(cli, client);
  try {
    const report = await runRows(
      { ...step, settings: { ...step.settings, rows: options.rows, prefgrad: VERSION } },
      {
        files,
        ranks: runtime.ranks,
        rows: options.rows,
        out: options.out,
        resume: options.resume ?? false,
        window: 4 * (client?.settings.concurrency ?? 8),
        limit: options.maxRows,
        onBadRow: options.onBadRow,
        progress: (counts) => progress.show(counts),
        shouldStop: () => interrupt.requested,
      },
    );
    progress.end();
    await finish(cli, runtime, options.out, report, client);
  } finally {
    progress.end();
    interrupt.release();
  }
}

async function finish(
  cli: Cli,
  runtime: Runtime,
  out: string,
  report: RowReport,
  client: LlmClient | undefined,
): Promise<void> {
  const usage =
    client === undefined ? {} : { usage_of_this_run: { ...client.usage }, usage: totalUsage(client) };
  await writeReport(runtime.files, out, { ...report, ...usage });
  cli.err(reportText(out, report, client));
  if (report.interrupted) cli.exitCode = EXIT.interrupted;
  else if (report.failed > 0) cli.exitCode = EXIT.failed;
}

/** Of all runs that wrote the output. */
function totalUsage({ totalSpending: { promptTokens, completionTokens, cost } }: LlmClient): JsonObject {
  return { prompt_tokens: promptTokens, completion_tokens: completionTokens, cost };
}

async function dryRun<T>(
  runtime: Runtime,
  step: RowStep<T>,
  { rows, maxRows = Number.POSITIVE_INFINITY }: RowOptions,
  client: LlmClient,
): Promise<string> {
  const estimate = new Estimate(client);
  let index = 0;
  for await (const raw of sourceRows(runtime.files, rows)) {
    if (index >= maxRows) break;
    for (const request of step.requests(step.read(raw), index)) await estimate.add(request);
    index++;
  }
  return `${index} rows. ${estimate.text}`;
}

/** 'pairs.jsonl: 90 rows; 8 dropped (5 tie, 3 good enough), 2 failed.', with summary and cost. */
function reportText(out: string, report: RowReport, client: LlmClient | undefined): string {
  const { written, dropped, failed, bad, reasons, summary } = report;
  const listed = Object.entries(reasons).map(([reason, count]) => `${count} ${reason}`);
  const others = [
    [dropped, 'dropped'],
    [failed, 'failed'],
    [bad, 'bad'],
  ].flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what}`]));
  const left =
    others.length === 0 ? '' : `; ${others.join(', ')} (${listed.join(', ')}): ${droppedPath(out)}`;
  const lines = [`${out}: ${written} rows${left}`, ...summaryLines(summary)];
  if (client !== undefined) lines.push(usageText(client));
  if (failed > 0) lines.push('Failed rows are tried again by the same command with --resume.');
  return `${lines.join('\n')}\n`;
}

function summaryLines(summary: JsonObject): string[] {
  const shown = Object.entries(summary).map(
    ([name, value]) => `${name.replaceAll('_', ' ')} ${typeof value === 'number' ? metric(value) : value}`,
  );
  return shown.length === 0 ? [] : [shown.join(', ')];
}

function usageText(client: LlmClient): string {
  const { requests, cached, retries, promptTokens, completionTokens, cost, estimated } = client.usage;
  const { prices } = client.settings;
  const spent = cost === undefined ? '' : `, ${cost.toFixed(4)} ${prices?.currency}`;
  const { promptTokens: allPrompt, completionTokens: allCompletion, cost: all } = client.totalSpending;
  const isFirst = allPrompt + allCompletion === promptTokens + completionTokens;
  const allCost = all === undefined ? '' : `, ${all.toFixed(4)} ${prices?.currency}`;
  const total = isFirst ? '' : `; ${allPrompt} + ${allCompletion} tokens${allCost} with the runs before it`;
  const guessed = estimated ? ' (guessed: the endpoint does not count)' : '';
  return (
    `${requests} requests, ${cached} from the cache, ${retries} tries again; ` +
    `${promptTokens} + ${completionTokens} tokens${guessed}${spent} in this run${total}`
  );
}

/** One line that is redrawn on a terminal, else a line now and then. */
class Progress {
  readonly #cli: Cli;
  readonly #client: LlmClient | undefined;
  #done = 0;

  constructor(cli: Cli, client: LlmClient | undefined) {
    this.#cli = cli;
    this.#client = client;
  }

  show(counts: RowCounts): void {
    this.#done++;
    const cost = this.#client?.usage.cost;
    const text =
      `${this.#done} rows: ${counts.written} written, ${counts.dropped} dropped, ${counts.failed} failed` +
      (cost === undefined ? '' : `, ${cost.toFixed(4)} ${this.#client?.settings.prices?.currency}`);
    if (this.#cli.terminal !== undefined) this.#cli.terminal.write(`\r\u001b[K${text}`);
    else if (this.#done % LINE_EVERY === 0) this.#cli.err(`${text}\n`);
  }

  end(): void {
    if (this.#done > 0 && this.#cli.terminal !== undefined) this.#cli.terminal.write('\r\u001b[K');
    this.#done = 0;
  }
}
