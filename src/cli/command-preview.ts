/** `prefgrad preview CONFIG.yaml`. */
import type { Command } from 'commander';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { adapterIsNoDevice, repeated, wholeNumber } from './options.ts';

interface Options extends GlobalOptions {
  readonly set?: string[];
  readonly rows: number;
}

export function addPreview(program: Command, cli: Cli): void {
  program
    .command('preview')
    .summary('show the tokens and the mask of the first rows')
    .description(
      'Shows how the first rows of the training data become tokens under CONFIG.yaml: the prompt, on which there is ' +
        'no loss, and every answer, all of whose tokens count, with each token id and its text. Tokens in which ' +
        'chosen and rejected differ are marked with *. Look here for a doubled BOS, a missing EOS, a wrong template ' +
        'or answers cut by max_length before you train.',
    )
    .argument('<CONFIG.yaml>', 'configuration whose data, model and objective are used')
    .addOption(adapterIsNoDevice())
    .option('--set <KEY=VALUE>', 'override a key, as train does; repeatable', repeated)
    .option('--rows <COUNT>', 'rows to show', wholeNumber(1), 2)
    .addHelpText(
      'after',
      `
Examples:
  prefgrad preview examples/quickstart.yaml
  prefgrad preview my.yaml --rows 5 --set data.max_length=512

${EXIT_CODES}`,
    )
    .action(async (file: string, _: unknown, command: Command) => {
      const { set = [], rows } = command.optsWithGlobals<Options>();
      const { previewRows } = await import('./preview.ts');
      for await (const text of previewRows((await cli.runtime()).files, file, { set, rows })) cli.out(text);
    });
}
