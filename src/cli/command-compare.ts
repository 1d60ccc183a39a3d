/** `prefgrad compare RUN RUN`. */
import type { Command } from 'commander';
import type { ComparedRow } from '../analyze/compare.ts';
import type { Named } from '../analyze/read.ts';
import { InputError } from '../errors.ts';
import { namedPaths } from './analyze-options.ts';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { adapterIsNoDevice } from './options.ts';

interface Options extends GlobalOptions {
  readonly json?: true;
  readonly csv?: true;
}

const TITLES: Readonly<Record<ComparedRow['kind'], string>> = {
  outcome: 'outcome',
  eval: 'last evaluation, on held-out rows',
  train: 'last line of training, means over its steps',
  config: 'keys in which the configurations differ',
};

export function addCompare(program: Command, cli: Cli): void {
  program
    .command('compare')
    .summary('what runs ended with, and how their configurations differ')
    .description(
      'Shows runs side by side: steps and time, the metrics of the last evaluation and of the last line of training, and ' +
        'the keys in which their configurations differ. A run that has not ended has its metrics only. "prefgrad report" ' +
        'draws curves of the same runs.',
    )
    .argument('<RUN...>', 'output directories of training runs, or NAME=DIR', namedPaths)
    .option('--json', 'one JSON line per row: {kind, key, values: {NAME: value}}')
    .option('--csv', 'comma-separated: kind, key, and a column for each run')
    .addOption(adapterIsNoDevice())
    .addHelpText(
      'after',
      `
Examples:
  prefgrad compare runs/dpo runs/dpo-bmc
  prefgrad compare low=runs/dpo high=runs/dpo-2 --json

${EXIT_CODES}`,
    )
    .action(async (given: readonly Named[], { json, csv }: Options) => {
      if (given.length < 2) throw new InputError('Give two runs or more: prefgrad compare RUN RUN.');
      if (json && csv) throw new InputError('Give --json or --csv, not both.');
      const { readRun } = await import('../analyze/read.ts');
      const { compareRuns } = await import('../analyze/compare.ts');
      const { files } = await cli.runtime();
      const runs = await Promise.all(given.map((named) => readRun(files, named)));
      const names = runs.map(({ name }) => name);
      const rows = compareRuns(runs);
      if (json) cli.out(jsonText(names, rows));
      else if (csv) cli.out(await csvText(names, rows));
      else cli.out(await sectionsText(names, rows));
    });
}

function jsonText(names: readonly string[], rows: readonly ComparedRow[]): string {
  const line = ({ kind, key, values }: ComparedRow) =>
    JSON.stringify({ kind, key, values: Object.fromEntries(names.map((name, i) => [name, values[i]])) });
  return rows.map((row) => `${line(row)}\n`).join('');
}

async function csvText(names: readonly string[], rows: readonly ComparedRow[]): Promise<string> {
  const { csvText: write } = await import('./sweep.ts');
  const cells = rows.map(({ kind, key, values }) => [kind, key, ...values.map((value) => value ?? '')]);
  return write({ columns: ['kind', 'key', ...names], rows: cells });
}

/** A section for each kind: keys on the left, a column for each run. */
async function sectionsText(names: readonly string[], rows: readonly ComparedRow[]): Promise<string> {
  const { cellText } = await import('../analyze/table-text.ts');
  const cells = rows.map(({ key, values }) => [key, ...values.map(cellText)]);
  const widths = ['', ...names].map((name, i) => Math.max(name.length, ...cells.map((row) => row[i].length)));
  const line = (row: readonly string[]) =>
    `  ${row.map((text, i) => (i === 0 ? text.padEnd(widths[i]) : text.padStart(widths[i]))).join('  ')}\n`;
  const sections = Object.entries(TITLES).flatMap(([kind, title]) => {
    const own = cells.filter((_, i) => rows[i].kind === kind);
    return own.length === 0 ? [] : [`${title}\n${own.map(line).join('')}`];
  });
  return [line(['', ...names]), ...sections].join('\n');
}
