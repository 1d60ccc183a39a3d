/** Runs a command line in this process, on the real file system, and keeps what it writes. */
import type { Cli } from '../../src/cli/context.ts';
import { runCli } from '../../src/cli/program.ts';
import { testRuntime } from './runtime.ts';

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function cli(...args: readonly string[]): Promise<CliResult> {
  const kept = { stdout: '', stderr: '' };
  const machine: Cli = {
    out(text) {
      kept.stdout += text;
    },
    err(text) {
      kept.stderr += text;
    },
    terminal: undefined,
    runtime: async () => testRuntime(),
    exitCode: 0,
  };
  const code = await runCli(args, machine);
  return { code, ...kept };
}
