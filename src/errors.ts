/**
 * Errors a user can act on. The command line turns the class into its exit code: 2 for input that must be corrected
 * before anything can run, 1 for a run that failed on the way.
 */

/** The input is wrong: says what, where (file and line) and what to do. Exit code 2. */
export class InputError extends Error {
  override name = 'InputError';
}

/** Several wrong things found in one reading, reported together. Exit code 2. */
export class InputErrors extends InputError {
  readonly problems: readonly string[];

  constructor(title: string, problems: readonly string[]) {
    super(`${title}\n${problems.map((p) => `  ${p}`).join('\n')}`);
    this.problems = problems;
  }
}

/** The run failed although its input was right: out of memory, disk full, device lost, not finite. Exit code 1. */
export class RunError extends Error {
  override name = 'RunError';
}
