/** Saves a checkpoint over and over and is killed on the way: `checkpoint-child.ts DIRECTORY OPERATION_NUMBER`. */
import { saveCheckpoint } from '../../src/formats/checkpoint.ts';
import { textFile } from '../../src/formats/output-file.ts';
import { nodeFiles } from '../../src/runtime/node-files.ts';

const [directory, last] = process.argv.slice(2);
let operations = 0;
const contents = [textFile('state.json', 'new'), textFile('weights', 'new')];
await saveCheckpoint(nodeFiles, directory, 10, contents, () => {
  if (operations++ === Number(last)) process.kill(process.pid, 'SIGKILL');
});
