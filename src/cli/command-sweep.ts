/** `prefgrad sweep CONFIG.yaml`. */
import { type Command, InvalidArgumentError } from 'commander';
import { InputError } from '../errors.ts';
import type { FileSystem } from '../runtime/runtime.ts';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT, EXIT_CODES } from './failure.ts';
import { adapterIsNoDevice, repeated } from './options.ts';
import {
  csvText,
  gridRuns,
  parseAxis,
  readAxes,
  sweepFigure,
  sweepResults,
  sweepTable,
  tableText,
} from './sweep.ts';

interface Options extends GlobalOptions {
  readonly set?: string[];
  readonly grid?: string[];
  readonly gridFile?: string;
  readonly out?: string;
  readonly devices?: string[];
  readonly metric?: string;
}

export function addSweep(program: Command, cli: Cli): void {
  program
    .command('sweep')
    .summary('train a configuration over a grid of values')
    .description(
      'Runs CONFIG.yaml once for every combination of the values, one run after the other, each in a directory of its ' +
        'own below --out. The same command goes on with a sweep that was stopped: finished runs are left alone, begun ' +
        'ones continue from their last checkpoint. Ends with a table, also as OUT/sweep.csv, and a plot, OUT/sweep.svg.',
    )
    .argument('<CONFIG.yaml>', 'configuration; "prefgrad train --help" lists its keys')
    .addOption(adapterIsNoDevice())
    .option('--grid <KEY=VALUE,...>', 'a key and the values that it takes; repeatable', repeated)
    .option('--grid-file <GRID.yaml>', 'the same from a file: keys, each with a list of values')
    .option('--set <KEY=VALUE>', 'override a key in all runs; repeatable', repeated)
    .option('--out <DIR>', "where the runs go; without it the configuration's output_dir")
    .option('--devices <A,B,...>', 'GPUs that train at the same time, each the next run', deviceList)
    .option('--metric <NAME>', 'what the plot shows; without it accuracy on held-out data, or what there is')
    .addHelpText(
      'after',
      `
Examples:
  prefgrad sweep mipo.yaml --grid objective.settings.beta=2,5,10,25 --grid training.learning_rate=3e-7,5e-7
  prefgrad sweep examples/recipes/dpo-llama3-8b.yaml --grid-file examples/recipes/sweeps/dpo.yaml
  prefgrad sweep mipo.yaml --grid seed=1,2,3,4 --devices 0,1

${EXIT_CODES}`,
    )
    .action(async (file: string, _: unknown, command: Command) => {
      const {
        set = [],
        grid = [],
        gridFile,
        out,
        device,
        devices,
        metric,
      } = command.optsWithGlobals<Options>();
      if (device !== undefined && devices !== undefined)
        throw new InputError('--device and --devices exclude each other.');
      const runtime = await cli.runtime();
      const { files, ranks } = runtime;
      if (devices !== undefined && ranks.size > 1)
        throw new InputError('Every rank has its own device; leave --devices out.');
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
      const { trainSweep } = await import('./sweep-runs.ts');
      const isWhole = await trainSweep(cli, runtime, runs, { file, set, devices: devices ?? [device] });
      const results = await sweepResults(files, runs);
      const table = sweepTable(axes, runs, results);
      await writeText(files, `${directory}/sweep.csv`, csvText(table));
      cli.out(tableText(table));
      if (!isWhole) cli.exitCode = EXIT.interrupted;
      const figure = sweepFigure(axes, runs, results, metric);
      if (figure === undefined) return;
      const { writeResults } = await import('../analyze/output.ts');
      const paths = await writeResults(files, directory, [figure], { force: true });
      cli.err(`Plot of ${figure.title}: ${paths.filter((path) => path.endsWith('.svg')).join(', ')}\n`);
    });
}

/** 'A,B' as a list. @throws InvalidArgumentError for none, or one that is there twice: a device trains one run at a time */
function deviceList(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes(''))
    throw new InvalidArgumentError('Expected names or numbers with commas between them.');
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new InvalidArgumentError(`${twice} is there twice.`);
  return names;
}

async function writeText(files: FileSystem, path: string, text: string): Promise<void> {
  const sink = await files.create(path);
  await sink.write(text);
  await sink.close();
}
