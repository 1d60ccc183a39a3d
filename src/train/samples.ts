/** Continuations of a few held-out prompts, by the model before and after training, to look at. */
import type { Example } from '../data/examples.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { generate } from '../generate/generator.ts';
import type { Gpu } from '../gpu/device.ts';
import type { LoadedModel } from '../models/loading/load.ts';
import type { Sample } from './hooks.ts';

const SAMPLES = 2;
const SAMPLE_TOKENS = 80;

export class Samples {
  readonly #gpu: Gpu;
  readonly #policy: LoadedModel;
  readonly #tokenizer: Tokenizer;
  readonly #prompts: readonly number[][];
  readonly #seed: number;
  #before: readonly string[] = [];

  /** @param held rows that are not trained on; the first ones are continued, of several ranks by the first */
  constructor(gpu: Gpu, policy: LoadedModel, tokenizer: Tokenizer, held: readonly Example[], seed: number) {
    this.#gpu = gpu;
    this.#policy = policy;
    this.#tokenizer = tokenizer;
    const count = gpu.runtime.ranks.rank === 0 ? SAMPLES : 0;
    this.#prompts = held.slice(0, count).map(({ promptIds }) => Array.from(promptIds));
    this.#seed = seed;
  }

  /** To be called before the first step. */
  async drawBefore(): Promise<void> {
    this.#before = await this.#continuations();
  }

  /** The model as it is now beside what it was. */
  async compare(): Promise<Sample[]> {
    const after = await this.#continuations();
    return this.#prompts.map((prompt, i) => ({
      prompt: this.#tokenizer.decode(prompt, { atStart: true, skipSpecial: true }),
      before: this.#before[i],
      after: after[i],
    }));
  }

  async #continuations(): Promise<string[]> {
    if (this.#prompts.length === 0) return [];
    const results = await generate(this.#gpu, this.#policy.model, this.#prompts, {
      temperature: 0.8,
      topK: 0,
      topP: 1,
      seed: this.#seed,
      maxNewTokens: SAMPLE_TOKENS,
      eosIds: this.#tokenizer.eosIds,
      adapter: true,
      batchSize: this.#prompts.length,
    });
    return results.map((ids) => this.#tokenizer.decode(ids, { skipSpecial: true }));
  }
}
