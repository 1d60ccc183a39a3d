/** Trains the runs of a sweep: every device takes the next one as soon as it is free. */
import type { Runtime } from '../runtime/runtime.ts';
import { train } from '../train/train.ts';
import type { Cli } from './context.ts';
import { listenForInterrupt } from './interrupt.ts';
import { preflight } from './preflight.ts';
import { progressHooks, type Screen } from './progress.ts';
import { type SweepRun, stateOf } from './sweep.ts';

export interface SweepOptions {
  /** The configuration, and what all runs change in it. */
  readonly file: string;
  readonly set: readonly string[];
  /** undefined: the device of the configuration. */
  readonly devices: readonly (string | undefined)[];
}

/**
 * Finished runs are left alone, begun ones go on from their last checkpoint. When one run fails, the others write a
 * checkpoint and stop, so that the error is not found days later.
 * @returns false where the user stopped it
 * @throws what the first run that failed has thrown
 */
export async function trainSweep(
  cli: Cli,
  runtime: Runtime,
  runs: readonly SweepRun[],
  { file, set, devices }: SweepOptions,
): Promise<boolean> {
  const interrupt = listenForInterrupt(() =>
    cli.err('Finishing this step and writing a checkpoint. Ctrl-C again stops at once.\n'),
  );
  let next = 0;
  let hasFailed = false;
  const shouldStop = () => interrupt.requested || hasFailed;
  const trainNext = async (device: string | undefined): Promise<void> => {
    const screen = devices.length > 1 ? lines(cli, `[${device}] `) : cliScreen(cli);
    while (next < runs.length && !shouldStop()) {
      const at = next++;
      const { name, directory, set: values } = runs[at];
      const state = await stateOf(runtime.files, directory);
      const finished = state === 'finished' ? ' (finished before)' : '';
      screen.write(`Run ${at + 1} of ${runs.length}: ${name}${finished}\n`);
      if (state === 'finished') continue;
      const { config } = await preflight(runtime, file, {
        set: [...set, ...values],
        device,
        resume: true,
        force: false,
      });
      const hooks = progressHooks(screen, shouldStop);
      try {
        await train(runtime, config, hooks, { resume: state === 'begun' });
      } finally {
        hooks.close();
      }
    }
  };
  try {
    const ended = await Promise.allSettled(
      devices.map((device) =>
        trainNext(device).catch((error: unknown) => {
          hasFailed = true;
          throw error;
        }),
      ),
    );
    for (const end of ended) if (end.status === 'rejected') throw end.reason;
    return !interrupt.requested;
  } finally {
    interrupt.release();
  }
}

function cliScreen(cli: Cli): Screen {
  return { write: (text) => cli.err(text), terminal: cli.terminal };
}

/** For runs side by side: no bars, and the device before every line. */
function lines(cli: Cli, mark: string): Screen {
  return { write: (text) => cli.err(text.replaceAll(/^(?=.)/gm, mark)), terminal: undefined };
}
