/** `prefgrad sweep CONFIG.yaml`. */
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT, EXIT_CODES } from './failure.ts';
import { listenForInterrupt } from './interrupt.ts';
import { adapterIsNoDevice, repeated } from './options.ts';
import { preflight } from './preflight.ts';
import { progressHooks } from './progress.ts';
import { csvText, gridRuns, parseAxis, readAxes, stateOf, sweepTable, tableText } from './sweep.ts';

interface Options extends GlobalOptions {
  readonly set?: string[];
  readonly grid?: string[];
  readonly gridFile?: string;
  readonly out?: string;
}

export function addSweep(program: Command, cli: Cli): void {
  program
    .command('sweep')
    .summary('train a configuration over a grid of values')
    .description(
      'Runs CONFIG.yaml once for every combination of the values, one run after the other, each in a directory of its ' +
        'own below --out. The same command goes on with a sweep that was stopped: finished runs are left alone, begun ' +
        'ones continue from their last checkpoint. Ends with a table, also as OUT/sweep.csv.',
    )
    .argument('<CONFIG.yaml>', 'configuration; "prefgrad train --help" lists its keys')
    .addOption(adapterIsNoDevice())
    .option('--grid <KEY=VALUE,...>', 'a key and the values that it takes; repeatable', repeated)
    .option('--grid-file <GRID.yaml>', 'the same from a file: keys, each with a list of values')
    .option('--set <KEY=VALUE>', 'override a key in all runs; repeatable', repeated)
    .option('--out <DIR>', "where the runs go; without it the configuration's output_dir")
    .addHelpText(
      'after',
      `
Examples:
  prefgrad sweep mipo.yaml --grid objective.settings.beta=2,5,10,25 --grid training.learning_rate=3e-7,5e-7
  prefgrad sweep examples/recipes/dpo-llama3-8b.yaml --grid-file examples/recipes/sweeps/dpo.yaml

${EXIT_CODES}`,
    )
    .action(async (file: string, _: unknown, command: Command) => {
      const { set = [], grid = [], gridFile, out, device } = command.optsWithGlobals<Options>();
      const runtime = await cli.runtime();
      const { files } = runtime;
      const axes = [
        ...(gridFile === undefined ? [] : await readAxes(files, gridFile)),
        ...grid.map(parseAxis),
      ];
      if (axes.length === 0)
        throw new InputError('A sweep needs values: give --grid KEY=VALUE,... or --grid-file FILE.');
      const { loadConfig } = await import('./config-file.ts');
      const directory = out ?? (await loadConfig(files, file, set)).config.output_dir;
      const runs = gridRuns(axes, directory);
      // A value that is wrong is reported before the first run, not days later.
      for (const run of runs) await loadConfig(files, file, [...set, ...run.set]);
      const { train } = await import('../train/train.ts');
      const interrupt = listenForInterrupt(() =>
        cli.err('Finishing this step and writing a checkpoint. Ctrl-C again stops at once.\n'),
      );
      try {
        for (const [i, run] of runs.entries()) {
          const state = await stateOf(files, run.directory);
          cli.err(
            `Run ${i + 1} of ${runs.length}: ${run.name}${state === 'finished' ? ' (finished before)' : ''}\n`,
          );
          if (state === 'finished') continue;
          const { config } = await preflight(runtime, file, {
            set: [...set, ...run.set],
            device,
            resume: true,
          });
          const screen = { write: (text: string) => cli.err(text), terminal: cli.terminal };
          const hooks = progressHooks(screen, () => interrupt.requested);
          try {
            const { outcome } = await train(runtime, config, hooks, { resume: state === 'begun' });
            if (outcome === 'interrupted') break;
          } finally {
            hooks.close();
          }
        }
        const table = await sweepTable(files, axes, runs);
        const sink = await files.create(`${directory}/sweep.csv`);
        await sink.write(csvText(table));
        await sink.close();
        cli.out(tableText(table));
        if (interrupt.requested) cli.exitCode = EXIT.interrupted;
      } finally {
        interrupt.release();
      }
    });
}
