/**
 * npm run web:assets: what the page shows at once. Trains the quickstart for 60 steps with DPO and with DPO-BMC, and writes
 * both checkpoints, the reference and the scores of held-out pairs to web/public. The same adapter gives the same files.
 */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { parse } from 'yaml';
import { MemoryFiles } from '../src/runtime/memory-files.ts';
import { nodeRuntime } from '../src/runtime/node.ts';
import { type TrainConfigInput, trainConfigFrom } from '../src/train/config.ts';
import type { TrainHooks } from '../src/train/hooks.ts';
import { train } from '../src/train/train.ts';
import { Engine } from './worker/engine.ts';
import type { MethodChoice, ModelSource, PairText, ScoredPair } from './worker/protocol.ts';

const STEPS = 60;
const PAIRS = 24;
const PUBLIC = 'web/public';
const quickstart = parse(fs.readFileSync('examples/quickstart.yaml', 'utf8')) as TrainConfigInput;
const { name, settings = {}, bmc = {} } = quickstart.objective;
const METHODS: Readonly<Record<string, MethodChoice>> = {
  dpo: { name, settings },
  'dpo-bmc': { name, settings, bmc },
};

const hooks: TrainHooks = {
  note: (line) => console.log(line),
  start: () => {},
  step: ({ step, metrics, log }) => {
    if (log) console.log(`step ${step}: loss ${metrics.loss.toFixed(4)}`);
  },
  evaluated: () => {},
  checkpoint: () => {},
  shouldStop: () => false,
  finish: () => {},
};

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'prefgrad-assets-'));
try {
  fs.rmSync(`${PUBLIC}/models`, { recursive: true, force: true });
  place(quickstart.model.path, 'reference', 'The stories260K model as it was published.');
  for (const [model, objective] of Object.entries(METHODS)) {
    const output_dir = `${scratch}/${model}`;
    const training = { ...quickstart.training, max_steps: STEPS };
    await train(nodeRuntime(), trainConfigFrom({ ...quickstart, objective, training, output_dir }), hooks);
    place(`${output_dir}/model`, model, `stories260K after ${STEPS} steps of npm run web:assets (${model}).`);
  }
  await writeScores();
} finally {
  fs.rmSync(scratch, { recursive: true });
}

/** Copies a model with the licence of the one it was made from. */
function place(from: string, model: string, note: string): void {
  const folder = `${PUBLIC}/models/${model}`;
  fs.cpSync(from, folder, { recursive: true });
  const licence = fs.readFileSync(`${quickstart.model.path}/LICENSE`, 'utf8');
  fs.writeFileSync(`${folder}/LICENSE`, licence);
  fs.writeFileSync(`${folder}/NOTICE`, `${note}\nIts licence is in the file LICENSE.\n`);
}

async function writeScores(): Promise<void> {
  const engine = new Engine({ ...nodeRuntime(), files: new MemoryFiles() });
  await engine.open();
  for (const slot of ['reference', ...Object.keys(METHODS)])
    await engine.loadModel(slot, dropped(`${PUBLIC}/models/${slot}`));
  const lines = fs.readFileSync(String(quickstart.data.eval), 'utf8').split('\n').slice(0, PAIRS);
  fs.mkdirSync(`${PUBLIC}/scores`, { recursive: true });
  for (const [model, method] of Object.entries(METHODS)) {
    const pairs: { pair: PairText; scored: ScoredPair | undefined }[] = [];
    for (const line of lines) {
      const { prompt, chosen, rejected } = JSON.parse(line) as PairText;
      const pair = { prompt, chosen, rejected };
      const request = { pair, policy: model, reference: 'reference', method, details: true };
      pairs.push({ pair, scored: await engine.score('assets', request) });
    }
    const text = JSON.stringify({ model, reference: 'reference', method, pairs }, rounded);
    fs.writeFileSync(`${PUBLIC}/scores/${model}.json`, `${text}\n`);
  }
  await engine.close();
}

function dropped(folder: string): ModelSource {
  const files = fs.readdirSync(folder).map((name) => ({
    path: name,
    file: new Blob([fs.readFileSync(`${folder}/${name}`)]),
  }));
  return { kind: 'files', files };
}

/** Scores are f32; nine digits say all of one. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(9)) : value;
}
