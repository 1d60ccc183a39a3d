/** `prefgrad doctor`. */
import type { Command } from 'commander';
import type { Cli, GlobalOptions } from './context.ts';
import { EXIT_CODES } from './failure.ts';
import { adapterIsNoDevice } from './options.ts';

interface Options extends GlobalOptions {
  readonly backend?: string;
  readonly json?: true;
  readonly tune?: true;
}

export function addDoctor(program: Command, cli: Cli): void {
  program
    .command('doctor')
    .summary('what this machine offers, and what is missing')
    .description(
      'Lists the GPUs (and CPU drivers) that WebGPU finds on this machine with the features and limits that matter, measures a copy and a ' +
        'matrix product on the chosen one, and says what is missing and how to get it. Run it first on a new machine. Started by mpirun, ' +
        'it says which device each rank takes.',
    )
    .addOption(adapterIsNoDevice())
    .option('--json', 'print the report as one JSON object')
    .option(
      '--tune',
      "in place of the report: measure which kernels make a typical model's products fastest, and keep that for runs",
    )
    .option('--backend <NAME>', "Dawn's backend: vulkan, metal or d3d12; the platform's own unless given")
    .addHelpText(
      'after',
      `
Examples:
  prefgrad doctor
  prefgrad doctor --device lavapipe --json
  prefgrad doctor --tune

${EXIT_CODES}`,
    )
    .action(async (_: unknown, command: Command) => {
      const { device, backend, json, tune } = command.optsWithGlobals<Options>();
      const runtime = await cli.runtime();
      const run =
        runtime.ranks.size > 1
          ? (await import('./doctor-ranks.ts')).runRankDoctor
          : tune
            ? (await import('./doctor-tune.ts')).runTune
            : (await import('./doctor.ts')).runDoctor;
      cli.exitCode = await run(runtime, (text) => cli.out(text), { device, backend, json });
    });
}
