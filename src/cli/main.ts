/** What bin/prefgrad.js starts. */
import { startedRanks } from '../runtime/launcher.ts';
import { runCli } from './program.ts';

// Not process.exit(): what was written to a pipe must get through.
const args = process.argv.slice(2);
process.exitCode =
  startedRanks(process.env) > 1 ? await (await import('./job.ts')).runRank(args) : await runCli(args);
