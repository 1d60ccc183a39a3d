/**
 * Makes what the page shows before its engine is ready: npm run web:assets
 *
 * Trains the quickstart model with DPO and with DPO-BMC as examples/quickstart.yaml says, and scores held-out pairs under
 * both. Writes web/public/models/{reference,dpo,dpo-bmc}/ and web/public/scores.json.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../src/cli/config-file.ts';
import { MemoryFiles } from '../src/runtime/memory-files.ts';
import { nodeRuntime } from '../src/runtime/node.ts';
import { train } from '../src/train/train.ts';
import { SHIPPED_METHODS, SHIPPED_MODELS } from '../web/app/content.ts';
import type { ShippedScores } from '../web/app/shipped.ts';
import { Engine } from '../web/worker/engine.ts';
import type { NamedFile, PairText, ScoredPair } from '../web/worker/protocol.ts';

const PUBLIC = 'web/public';
const BASE = 'examples/stories260K';
const PAIRS = 24;
/** Pairs that are shipped with all that is known of their tokens; of the others what the engine needs longest for is left out. */
const COMPLETE = 1;
const FILES = [
  'config.json',
  'generation_config.json',
  'model.safetensors',
  'tokenizer.json',
  'tokenizer_config.json',
];
const folder = mkdtempSync(join(tmpdir(), 'prefgrad-assets-'));
const runtime = nodeRuntime();

function ship(slot: string, directory: string): void {
  mkdirSync(`${PUBLIC}/models/${slot}`, { recursive: true });
  for (const name of FILES) copyFileSync(`${directory}/${name}`, `${PUBLIC}/models/${slot}/${name}`);
  copyFileSync(`${BASE}/LICENSE`, `${PUBLIC}/models/${slot}/LICENSE`);
}

function filesOf(slot: string): NamedFile[] {
  return FILES.map((path) => ({ path, file: new Blob([readFileSync(`${PUBLIC}/models/${slot}/${path}`)]) }));
}

ship('reference', BASE);
for (const slot of SHIPPED_MODELS) {
  const { config } = await loadConfig(runtime.files, 'examples/quickstart.yaml', [
    `output_dir=${join(folder, slot)}`,
  ]);
  const { bmc: _, ...plain } = config.objective;
  await train(
    runtime,
    {
      ...config,
      objective: 'bmc' in SHIPPED_METHODS[slot] ? config.objective : plain,
      data: { ...config.data, eval: undefined },
    },
    {
      note() {},
      start() {},
      step: ({ step, metrics }) => step % 20 === 0 && console.log(slot, step, metrics.loss),
      evaluated() {},
      checkpoint() {},
      shouldStop: () => false,
      finish() {},
    },
  );
  ship(slot, join(folder, slot, 'model'));
}

const pairs = readFileSync('examples/quickstart/eval.jsonl', 'utf8')
  .trim()
  .split('\n')
  .slice(0, PAIRS)
  .map((line): PairText => {
    const { prompt, chosen, rejected } = JSON.parse(line) as PairText;
    return { prompt, chosen, rejected };
  });
const engine = new Engine({ ...runtime, files: new MemoryFiles() });
await engine.open();
for (const slot of ['reference', ...SHIPPED_MODELS])
  await engine.loadModel(slot, { kind: 'files', files: filesOf(slot) });
const scores: Record<string, ScoredPair[]> = {};
for (const [slot, method] of Object.entries(SHIPPED_METHODS)) {
  scores[slot] = [];
  for (const pair of pairs) {
    const scored = await engine.score('assets', {
      pair,
      policy: slot,
      reference: 'reference',
      method,
      details: true,
    });
    if (scored !== undefined) scores[slot].push(scores[slot].length < COMPLETE ? scored : brief(scored));
  }
}
/** Without candidates, entropies and ranks; rewards and contributions follow from the rest (expandScores). */
function brief({ chosen, rejected, ...rest }: ScoredPair): ScoredPair {
  const strip = ({ token_ids, tokens, logps, ref_logps, diff, weights, cut }: ScoredPair['chosen']) => ({
    token_ids,
    tokens,
    logps,
    ref_logps,
    diff,
    weights,
    cut,
  });
  return { ...rest, chosen: strip(chosen), rejected: strip(rejected) };
}

const shipped: ShippedScores = { pairs, methods: SHIPPED_METHODS, scores };
/** Four significant digits are more than a colour or a label shows. */
const short = (_: string, value: unknown) =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
writeFileSync(`${PUBLIC}/scores.json`, JSON.stringify(shipped, short));
