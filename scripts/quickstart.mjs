/** npm run quickstart: from a fresh clone to a trained model. Further arguments go to `prefgrad train`. */
import { existsSync } from 'node:fs';
import { runAfterSetup } from './run-after-setup.mjs';

const OUTPUT = 'runs/quickstart';
const given = process.argv.slice(2);
const isPlaced = given.some((word) => word.startsWith('--resume') || word.includes('output_dir='));

/** The first of runs/quickstart, runs/quickstart-2, ... that no earlier run has taken. */
function freeOutput() {
  for (let n = 1; ; n++) {
    const path = n === 1 ? OUTPUT : `${OUTPUT}-${n}`;
    if (!existsSync(path)) return path;
  }
}

await runAfterSetup({ 'runtime-only': true }, 'bin/prefgrad.js', [
  'train',
  'examples/quickstart.yaml',
  ...(isPlaced ? [] : ['--set', `output_dir=${freeOutput()}`]),
  ...given,
]);
