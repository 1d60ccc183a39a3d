/** `prefgrad train CONFIG.yaml`. */
import type { Command } from 'commander';
import { InputError } from '../errors.ts';
import { configKeysText } from './config-keys.ts';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT, EXIT_CODES } from './failure.ts';
import { listenForInterrupt } from './interrupt.ts';
import { adapterIsNoDevice, repeated } from './options.ts';
import { preflight } from './preflight.ts';
import { progressHooks } from './progress.ts';

interface Options extends GlobalOptions {
  readonly set?: string[];
  readonly resume?: string | true;
  readonly force?: true;
}

export function addTrain(program: Command, cli: Cli): void {
  program
    .command('train')
    .summary('train a model as a configuration says')
    .description(
      'Trains the model that CONFIG.yaml names and writes the result, checkpoints and metrics to its output_dir. ' +
        'Everything that is wrong with the configuration, the model or the first rows of the data is reported at ' +
        'once, before the device is opened. Ctrl-C finishes the step and writes a checkpoint; a second Ctrl-C ' +
        'stops at once. Paths in the configuration are relative to the current directory.',
    )
    .argument('<CONFIG.yaml>', 'configuration; its keys are listed below')
    .addOption(adapterIsNoDevice())
    .option('--set <KEY=VALUE>', 'override a key, such as training.learning_rate=5e-7; repeatable', repeated)
    .option(
      '--resume [CHECKPOINT]',
      'behind CONFIG.yaml: continue from the last checkpoint in output_dir, or from the one named',
    )
    .option('--force', 'replace the run that is in output_dir, once nothing is found wrong with this one')
    .addHelpText(
      'after',
      () => `
Examples:
  prefgrad train examples/quickstart.yaml
  prefgrad train examples/quickstart.yaml --set objective=simpo --set output_dir=runs/simpo
  prefgrad train examples/quickstart.yaml --resume

"--set objective=NAME" replaces the whole group with its settings; "--set objective.settings.beta=0.05" sets one.

${configKeysText()}
${EXIT_CODES}`,
    )
    .action(async (file: string, _: unknown, command: Command) => {
      const { set = [], resume, force = false, device } = command.optsWithGlobals<Options>();
      if (force && resume !== undefined) throw new InputError('Give --resume or --force, not both.');
      const runtime = await cli.runtime();
      const { config, warnings } = await preflight(runtime, file, {
        set,
        device,
        resume: resume !== undefined,
        force,
      });
      for (const warning of warnings) cli.err(`Warning: ${warning}\n`);
      const { isFinished } = await import('../train/run-checkpoint.ts');
      if (resume === true && (await isFinished(runtime.files, config))) {
        cli.err(
          `The run is finished: its model is in ${config.output_dir}/model. There is nothing to resume.\n`,
        );
        return;
      }
      const { train } = await import('../train/train.ts');
      const interrupt = listenForInterrupt(() =>
        hooks.note('Finishing this step and writing a checkpoint. Ctrl-C again stops at once.'),
      );
      const screen = { write: (text: string) => cli.err(text), terminal: cli.terminal };
      const hooks = progressHooks(screen, () => interrupt.requested);
      try {
        const summary = await train(runtime, config, hooks, { resume, force });
        if (summary.outcome === 'interrupted') {
          cli.err(`Continue with: ${resumeCommand(file, set, device)}\n`);
          cli.exitCode = EXIT.interrupted;
        }
      } finally {
        hooks.close();
        interrupt.release();
      }
    });
}

/** The command that continues this run, to be pasted into a shell. */
export function resumeCommand(file: string, set: readonly string[], device: string | undefined): string {
  const quoted = (text: string) =>
    /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
  const chosen = device === undefined ? [] : ['--device', device];
  const words = [file, ...set.flatMap((override) => ['--set', override]), ...chosen];
  return `prefgrad train ${words.map(quoted).join(' ')} --resume`;
}
