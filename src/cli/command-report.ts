/** `prefgrad report`. */
import type { Command } from 'commander';
import type { Named } from '../analyze/read.ts';
import { InputError } from '../errors.ts';
import { addSourceOptions, namedPaths, type SourceOptions, sourcesOf } from './analyze-options.ts';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT_CODES } from './failure.ts';

interface Options extends GlobalOptions, SourceOptions {
  readonly out: string;
  readonly force?: boolean;
}

export function addReport(program: Command, cli: Cli): void {
  const command = program
    .command('report')
    .summary('one HTML page about one run or several')
    .description(
      'Writes a page that is complete in itself, without scripts: settings, curves, tables with intervals, token rewards ' +
        'and samples before and after, of one run or of several side by side.',
    )
    .argument('[RUN...]', 'output directories of training runs, or NAME=DIR', namedPaths);
  addSourceOptions(command)
    .option('--out <FILE.html>', 'where the page goes', 'report.html')
    .option('--force', 'replace a page that is there')
    .addHelpText(
      'after',
      `
Examples:
  prefgrad report runs/dpo
  prefgrad report dpo=runs/dpo bmc=runs/dpo-bmc --scores dpo=dpo.scores.jsonl --scores bmc=bmc.scores.jsonl

${EXIT_CODES}`,
    )
    .action(async (given: readonly Named[], options: Options) => {
      const { readMaterial } = await import('../analyze/read.ts');
      const { reportHtml } = await import('../analyze/report/report.ts');
      const { files } = await cli.runtime();
      const sources = sourcesOf(options);
      const runs = [...given, ...sources.runs];
      if (runs.length === 0) throw new InputError('Say which runs: prefgrad report RUN...');
      const { checkOutput, writeAtomically } = await import('../formats/atomic-file.ts');
      await checkOutput(files, options.out, options.force ?? false);
      const page = await reportHtml(await readMaterial(files, { ...sources, runs }));
      await writeAtomically(files, options.out, (write) => write(page));
      cli.out(`${options.out}\n`);
    });
}
