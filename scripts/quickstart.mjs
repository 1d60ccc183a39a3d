/** npm run quickstart: from a fresh clone to a trained model. Further arguments go to `prefgrad train`. */
import { runAfterSetup } from './run-after-setup.mjs';

await runAfterSetup({ 'runtime-only': true }, 'bin/prefgrad.js', [
  'train',
  'examples/quickstart.yaml',
  ...process.argv.slice(2),
]);
