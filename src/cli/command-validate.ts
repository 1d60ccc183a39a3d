/** `prefgrad validate CONFIG.yaml`. */
import type { Command } from 'commander';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { adapterIsNoDevice, repeated } from './options.ts';
import { FIRST_ROWS, preflight } from './preflight.ts';

interface Options extends GlobalOptions {
  readonly set?: string[];
  readonly resume?: boolean;
  readonly force?: boolean;
}

export function addValidate(program: Command, cli: Cli): void {
  program
    .command('validate')
    .summary('check a configuration and everything it names')
    .description(
      'Checks CONFIG.yaml without training and without a GPU: unknown keys (with the nearest known one), values out ' +
        `of range, settings of the objective, the model's configuration, weights and tokenizer, the first ${FIRST_ROWS} ` +
        'rows of each data file, and whether output_dir is free. Reports all problems at once, each with file, line ' +
        'and column. "prefgrad train --help" lists the keys.',
    )
    .argument('<CONFIG.yaml>', 'configuration to check')
    .addOption(adapterIsNoDevice())
    .option('--set <KEY=VALUE>', 'override a key before checking, as train does; repeatable', repeated)
    .option('--resume', 'check for a run that is to be continued: output_dir may be in use')
    .option('--force', 'check for a run that is to replace the one in output_dir')
    .addHelpText(
      'after',
      `
Examples:
  prefgrad validate examples/quickstart.yaml
  prefgrad validate my.yaml --set objective=orpo

${EXIT_CODES}`,
    )
    .action(async (file: string, _: unknown, command: Command) => {
      const { set = [], device, resume = false, force = false } = command.optsWithGlobals<Options>();
      const runtime = await cli.runtime();
      const { facts, warnings } = await preflight(runtime, file, { set, device, resume, force });
      for (const warning of warnings) cli.err(`Warning: ${warning}\n`);
      cli.out(`${file} is valid.\n${facts.map((fact) => `  ${fact}\n`).join('')}`);
    });
}
