/** How a command ends: its exit code, and what it says when it fails. */
import { CommanderError } from 'commander';
import { InputError, RunError } from '../errors.ts';

export const EXIT = { done: 0, failed: 1, wrongInput: 2, interrupted: 130 } as const;

/** What every help text says about exit codes. */
export const EXIT_CODES =
  'Exit codes: 0 done; 1 the run failed on the way; 2 the input is wrong, nothing was done; 130 interrupted.';

/** Writes what `error` has to say to the user. A stack is shown only for what nobody foresaw. @returns the exit code */
export function reportFailure(error: unknown, write: (text: string) => void): number {
  // Commander has written its message already; --help and --version come this way too, with code 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.wrongInput;
  if (error instanceof InputError || error instanceof RunError) {
    write(`prefgrad: ${error.message}\n`);
    return error instanceof InputError ? EXIT.wrongInput : EXIT.failed;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  write(`prefgrad: unexpected error, please report it\n${text}\n`);
  return EXIT.failed;
}
