/** Ctrl-C: the first one asks the run to stop at a good moment, the second one ends the process. */
import { EXIT } from './failure.ts';

export interface Interrupt {
  /** True once the user has asked to stop. */
  readonly requested: boolean;
  /** Gives Ctrl-C its usual meaning back. */
  release(): void;
}

/** @param announce called at the first Ctrl-C (or SIGTERM, which schedulers send, or SIGHUP, when a terminal is closed) */
export function listenForInterrupt(
  announce: () => void,
  exit: (code: number) => void = process.exit,
): Interrupt {
  let requested = false;
  const onSignal = () => {
    if (requested) {
      exit(EXIT.interrupted);
      return;
    }
    requested = true;
    announce();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  return {
    get requested() {
      return requested;
    },
    release() {
      for (const signal of signals) process.removeListener(signal, onSignal);
    },
  };
}
