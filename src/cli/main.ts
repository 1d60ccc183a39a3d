/** What bin/prefgrad.js starts. */
import { runCli } from './program.ts';

// Not process.exit(): what was written to a pipe must get through.
process.exitCode = await runCli(process.argv.slice(2));
