/** Runs several command lines at once in one process, which the test kills. Arguments: a JSON list of lists. */
import { runCli } from '../../src/cli/program.ts';

const lines = JSON.parse(process.argv[2]) as string[][];
await Promise.all(lines.map((args) => runCli(args)));
