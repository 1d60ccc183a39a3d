/**
 * Does the quickstart work? Trains it with three seeds and lets base and trained model continue the held-out openings:
 *
 *   npm run quickstart:study
 *
 * Prints, per seed, the mean score of the rule before and after, the gain with its paired bootstrap 95% interval, and the
 * ratio of mean lengths. Stories run freely up to 300 tokens, so that ending early would show in the lengths.
 */

import { loadConfig } from '../../src/cli/config-file.ts';
import { loadTokenizer } from '../../src/data/load-tokenizer.ts';
import { uniformAt } from '../../src/data/random.ts';
import { generate } from '../../src/generate/generator.ts';
import { Gpu } from '../../src/gpu/device.ts';
import { loadModel } from '../../src/models/loading/load.ts';
import { detectRuntime } from '../../src/runtime/index.ts';
import type { TrainHooks } from '../../src/train/hooks.ts';
import { train } from '../../src/train/train.ts';
import { heldOutOpenings } from './openings.ts';
import { storyScore } from './rule.ts';

const SEEDS = [1, 2, 3];
/** Response tokens that the rule looks at, as in the pairs. */
const SCORED_TOKENS = 110;
const MAX_TOKENS = 300;
const RESAMPLES = 5000;

const runtime = await detectRuntime();
const tokenizer = await loadTokenizer(runtime.files, 'examples/stories260K');
const prompts = heldOutOpenings.map((opening) => tokenizer.encodePrompt(opening.text));
const quiet: TrainHooks = {
  note() {},
  start() {},
  step() {},
  evaluated() {},
  checkpoint() {},
  shouldStop: () => false,
  finish() {},
};

const base = await sampleStories('examples/stories260K');
console.log('seed  base   trained  gain   95% interval        length ratio');
for (const seed of SEEDS) {
  const output = `runs/study-${seed}`;
  await runtime.files.remove(output);
  const { config } = await loadConfig(runtime.files, 'examples/quickstart.yaml', [
    `seed=${seed}`,
    `output_dir=${output}`,
  ]);
  await train(runtime, config, quiet);
  const trained = await sampleStories(`${output}/model`);
  const gains = trained.scores.map((score, i) => score - base.scores[i]);
  const [low, high] = bootstrapInterval(gains);
  const cells = [mean(base.scores), mean(trained.scores), mean(gains)].map((x) => x.toFixed(3)).join('   ');
  console.log(
    `${seed}     ${cells}    [${low.toFixed(3)}, ${high.toFixed(3)}]    ${(trained.length / base.length).toFixed(3)}`,
  );
}

/** One story per held-out opening; the sampling seed is the same for every model. */
async function sampleStories(directory: string): Promise<{ scores: number[]; length: number }> {
  const gpu = await Gpu.open(runtime);
  try {
    const { model } = await loadModel(gpu, directory, { train: 'none', dtype: 'f32', positions: 512 });
    const stories = await generate(gpu, model, prompts, {
      temperature: 0.8,
      topK: 0,
      topP: 1,
      seed: 7,
      maxNewTokens: MAX_TOKENS,
      eosIds: tokenizer.eosIds,
      adapter: true,
      batchSize: prompts.length,
    });
    const scores = stories.map((ids, i) => {
      const text = tokenizer.decode(ids.slice(0, SCORED_TOKENS), { skipSpecial: true });
      return storyScore(text, heldOutOpenings[i].text).score;
    });
    return { scores, length: mean(stories.map((ids) => ids.length)) };
  } finally {
    gpu.close();
  }
}

/** The 2.5% and 97.5% points of the mean over resampled openings. */
function bootstrapInterval(values: readonly number[]): [number, number] {
  const means = Array.from({ length: RESAMPLES }, (_, b) =>
    mean(values.map((_, i) => values[Math.floor(uniformAt(17, b, i) * values.length)])),
  ).sort((a, b) => a - b);
  return [means[Math.floor(0.025 * RESAMPLES)], means[Math.floor(0.975 * RESAMPLES)]];
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
