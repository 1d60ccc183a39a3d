/** Embeddings from a model on this machine: the mean of its last hidden states over a text. */
import { loadTokenizer } from '../data/load-tokenizer.ts';
import { RunError } from '../errors.ts';
import { ModelDirectory } from '../formats/model-directory.ts';
import { locateModel } from '../formats/model-location.ts';
import { Gpu } from '../gpu/device.ts';
import { loadLocated } from '../models/loading/load-with-adapter.ts';
import { describeModel } from '../models/registry.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { hiddenStates } from './hidden-states.ts';

export interface Embedder {
  /** One vector per text. @throws RunError for a text longer than the model's positions */
  embed(texts: readonly string[]): Promise<number[][]>;
  close(): Promise<void>;
}

/** Tokens of one pass, unless a single text has more. */
const PASS_TOKENS = 4096;

/** @throws InputError for a directory without a model that prefgrad runs */
export async function openEmbedder(
  runtime: Runtime,
  model: string,
  device: string | undefined,
): Promise<Embedder> {
  const location = await locateModel(runtime.files, model);
  const { path } = location;
  const tokenizer = await loadTokenizer(runtime.files, location.tokenizer);
  const directory = await ModelDirectory.open(runtime.files, path);
  await directory.close();
  const { maxPositions: positions } = describeModel(directory.config, `${path}/config.json`).config;
  const gpu = await Gpu.open(runtime, { device });
  const loaded = await loadLocated(gpu, location, { dtype: 'auto', positions });
  const embed = async (texts: readonly string[]) => {
    const requests = texts.map((text) => {
      const ids = tokenizer.encodePrompt(text, 'text');
      return { ids, places: ids.map((_, i) => i) };
    });
    const longest = Math.max(...requests.map(({ ids }) => ids.length));
    if (longest > positions) {
      throw new RunError(`${path}: a text has ${longest} tokens, but the model ${positions} positions.`);
    }
    const states = await hiddenStates(gpu, loaded.model, requests, Math.max(PASS_TOKENS, longest));
    return states.map(mean);
  };
  // One pass at a time: the device is one.
  let before: Promise<unknown> = Promise.resolve();
  return {
    embed(texts) {
      const now = before.then(() => embed(texts));
      before = now.catch(() => {});
      return now;
    },
    async close() {
      loaded.free();
      gpu.close();
    },
  };
}

function mean(states: readonly Float32Array[]): number[] {
  return Array.from(states[0], (_, i) => states.reduce((sum, state) => sum + state[i], 0) / states.length);
}
