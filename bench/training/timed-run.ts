/**
 * Times quickstart steps of the sources in one folder: tsx bench/training/timed-run.ts FOLDER STEPS
 *
 * Prints one JSON line: milliseconds per step, and the loss of the last, so that two sources can be compared.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Runtime, StepInfo } from '../../src/index.ts';

/** What both sources have under the same paths; the older one has no API that could be loaded in their place. */
interface Sources {
  detectRuntime(): Promise<Runtime>;
  trainConfigFrom(raw: object): object;
  train(runtime: Runtime, config: object, hooks: object): Promise<object>;
}

/** Pipelines are compiled and caches filled in these. */
const WARM_UP = 4;

const [folder, count] = [resolve(process.argv[2]), Number(process.argv[3])];
process.chdir(folder);
const load = <K extends keyof Sources>(path: string): Promise<Pick<Sources, K>> =>
  import(pathToFileURL(join(folder, 'src', path)).href);
const { detectRuntime } = await load<'detectRuntime'>('runtime/index.ts');
const { trainConfigFrom } = await load<'trainConfigFrom'>('train/config.ts');
const { train } = await load<'train'>('train/train.ts');

const out = mkdtempSync(join(tmpdir(), 'prefgrad-timed-'));
const quickstart = trainConfigFrom({
  model: { path: 'examples/stories260K' },
  objective: {
    name: 'dpo',
    settings: { beta: 0.5 },
    bmc: { delta: 2, diff: 'levenshtein', reference_weights: 'policy' },
  },
  data: { train: 'examples/quickstart/train.jsonl', max_length: 256 },
  training: {
    learning_rate: 1e-4,
    max_steps: WARM_UP + count,
    per_device_train_batch_size: 8,
    max_tokens_per_micro_batch: 4096,
    gradient_checkpointing: false,
  },
  output_dir: out,
});
const times: number[] = [];
let loss = Number.NaN;
await train(await detectRuntime(), quickstart, {
  note() {},
  start() {},
  step({ metrics }: StepInfo) {
    times.push(performance.now());
    loss = metrics.loss;
  },
  evaluated() {},
  checkpoint() {},
  shouldStop: () => false,
  finish() {},
});
rmSync(out, { recursive: true });
const last = times.length - 1;
console.log(JSON.stringify({ ms: (times[last] - times[last - count]) / count, loss }));
