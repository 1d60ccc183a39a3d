/**
 * Trains the runs of a sweep: every device takes the next one as soon as it is free. Ranks take one each in turn, and train
 * them by themselves.
 */
import { onAnyRank, type Ranks } from '../runtime/ranks.ts';
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
  const { ranks } = runtime;
  const own = runtime.apart ?? runtime;
  if (ranks.size > 1) {
    // Refuses two ranks on one card, for all runs at once.
    await runtime.requestAdapter({ device: devices[0] });
    ranks.limitWaits(Number.POSITIVE_INFINITY);
  }
  const numbers = [...runs.keys()].filter((i) => i % ranks.size === ranks.rank);
  let next = 0;
  let hasFailed = false;
  const shouldStop = () => interrupt.requested || hasFailed;
  const trainNext = async (device: string | undefined): Promise<void> => {
    const screen = screenOf(cli, ranks, devices.length > 1 ? device : undefined);
    while (next < numbers.length && !shouldStop()) {
      const at = numbers[next++];
      const { name, directory, set: values } = runs[at];
      const state = await stateOf(own.files, directory);
      const finished = state === 'finished' ? ' (finished before)' : '';
      screen.write(`Run ${at + 1} of ${runs.length}: ${name}${finished}\n`);
      if (state === 'finished') continue;
      const { config } = await preflight(own, file, {
        set: [...set, ...values],
        device,
        resume: true,
        force: false,
      });
      const hooks = progressHooks(screen, shouldStop);
      try {
        await train(own, config, hooks, { resume: state === 'begun' });
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
    return !(await onAnyRank(ranks, interrupt.requested));
  } finally {
    interrupt.release();
  }
}

/** Runs side by side have no bars, and the device or the rank before every line. */
function screenOf(cli: Cli, { rank, size }: Ranks, device: string | undefined): Screen {
  const mark = size > 1 ? `rank ${rank}` : device;
  const write = (text: string) => (size > 1 ? cli.errOfRank?.(text) : cli.err(text));
  if (mark === undefined) return { write, terminal: cli.terminal };
  return { write: (text) => write(text.replaceAll(/^(?=.)/gm, `[${mark}] `)), terminal: undefined };
}
