/** Continues a list of prompts: the engine for those who have all prompts at once and want all answers. */
import { InputError } from '../errors.ts';
import type { Gpu } from '../gpu/device.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import type { SamplingOptions } from '../ops/sampling/sample.ts';
import { Engine } from './engine.ts';
import type { Generation } from './generation.ts';
import { GREEDY } from './request.ts';

/** How tokens are drawn; greedily where nothing else is said. */
export interface GenerateOptions extends Partial<SamplingOptions> {
  readonly maxNewTokens: number;
  /** Ids that end a sequence; the ending id is kept in the result. */
  readonly eosIds: readonly number[];
  /** False generates from the weights without their LoRA adapter. */
  readonly adapter: boolean;
  /** Sequences advanced together. */
  readonly batchSize: number;
  /** The stream of the seed that each prompt draws from. Default: its place. */
  readonly streams?: readonly number[];
  /** Told every token as it is drawn, with the number of its prompt. */
  readonly onToken?: (token: number, sequence: number) => void;
}

/**
 * Continues every prompt.
 * @returns the new tokens of each prompt, in order, with the ending token where one was drawn.
 * @throws InputError for an empty prompt, one outside of the vocabulary, or one that leaves no room within the model's
 * positions.
 */
export async function generate(
  gpu: Gpu,
  model: CausalLM,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions,
): Promise<number[][]> {
  const { maxNewTokens, eosIds, adapter, batchSize, streams, onToken } = options;
  const longest = Math.max(1, ...prompts.map(({ length }) => length));
  const engine = new Engine(gpu, model, {
    adapter,
    maxSequences: Math.max(1, Math.min(batchSize, prompts.length)),
    maxPositions: Math.min(longest + maxNewTokens, model.config.maxPositions),
  });
  const sampling = samplingOf(options);
  const submit = (prompt: readonly number[], i: number): Generation => {
    try {
      const firstSample = streams?.[i] ?? i;
      return engine.submit({ prompt, firstSample, maxTokens: maxNewTokens, sampling, stopIds: eosIds });
    } catch (error) {
      if (error instanceof InputError) throw new InputError(`Prompt ${i + 1}: ${error.message}`);
      throw error;
    }
  };
  try {
    const generations = prompts.map(submit);
    return await Promise.all(
      generations.map(async (generation, i) => {
        const tokens: number[] = [];
        for await (const event of generation) {
          if (event.kind !== 'token') continue;
          tokens.push(event.token);
          onToken?.(event.token, i);
        }
        return tokens;
      }),
    );
  } finally {
    await engine.close();
  }
}

/** The sampling options among others, each with its default. */
export function samplingOf(options: Partial<SamplingOptions>): SamplingOptions {
  const {
    temperature = GREEDY.temperature,
    topK = GREEDY.topK,
    topP = GREEDY.topP,
    minP = GREEDY.minP,
    repetitionPenalty = GREEDY.repetitionPenalty,
    seed = GREEDY.seed,
  } = options;
  return { temperature, topK, topP, minP, repetitionPenalty, seed };
}
