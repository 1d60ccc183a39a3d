/** npm test: sets up, then runs vitest. `--all` adds the long tests; further arguments go to vitest. */
import { runAfterSetup } from './run-after-setup.mjs';

const args = process.argv.slice(2);
const all = args.includes('--all');
const config = all ? ['--config', 'vitest.long.config.ts'] : [];

await runAfterSetup({}, 'node_modules/vitest/vitest.mjs', [
  'run',
  ...config,
  ...args.filter((arg) => arg !== '--all'),
]);
