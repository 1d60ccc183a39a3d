/**
 * `prefgrad rollout`: several answers of one model to every prompt (MIPO, epsilon-DPO; after SimPO's released code):
 * temperature 0.8, top_p 0.95, at most 4096 tokens, seeds 13, 21, 42, 79, 100. A prompt whose answers are all equal is
 * dropped. Column: `all_generated_responses`.
 */
import type { Columns } from '../data/columns.ts';
import type { JsonObject } from '../data/json.ts';
import type { LlmRequest, SamplingSettings } from '../llm/request.ts';
import type { CompletionModel } from './completion-model.ts';
import { type Prompt, promptRequest, readPrompt, writtenRow } from './dialogue.ts';
import { type PromptShape, shaped } from './prompt-shape.ts';
import type { RowStep } from './row-step.ts';

export const ROLLOUT_SEEDS = [13, 21, 42, 79, 100] as const;

export interface RolloutOptions {
  readonly model: CompletionModel;
  readonly modelName: string;
  /** One answer per seed. */
  readonly seeds: readonly number[];
  readonly sampling: Omit<SamplingSettings, 'seed'>;
  readonly shape: PromptShape;
  readonly columns?: Columns;
}

export function rolloutStep(options: RolloutOptions): RowStep<Prompt> {
  const { model, seeds, sampling, shape, columns } = options;
  const requests = (prompt: Prompt): LlmRequest[] =>
    seeds.map((seed) => ({ ...promptRequest(prompt), ...sampling, seed, mayBeEmpty: true }));
  return {
    settings: {
      command: 'rollout',
      model: options.modelName,
      seeds,
      sampling: samplingSettings(sampling),
      prompt_shape: shape,
      columns: columns ?? {},
    },
    read: (raw) => shaped(readPrompt(raw, columns), shape),
    requests,
    async run(prompt, index, raw) {
      const answers = await Promise.all(requests(prompt).map((request) => model.complete(request)));
      const texts = answers.map(({ text }) => text);
      if (texts.every((text) => text === texts[0])) {
        return { kind: 'dropped', reason: 'all answers are equal', detail: { answer: texts[0] } };
      }
      const finish = answers.map(({ finishReason }) => finishReason);
      const fields = { prompt, all_generated_responses: texts, all_finish_reasons: finish };
      return { kind: 'row', value: writtenRow(index, raw, fields) };
    },
    summary: summarize,
  };
}

/** Settings under the names of the HTTP interface. */
export function samplingSettings({
  maxTokens,
  temperature,
  topP,
  stop,
}: Omit<SamplingSettings, 'seed'>): JsonObject {
  return { max_tokens: maxTokens, temperature, top_p: topP ?? 1, stop: stop ?? [] };
}

/** Lengths in characters, and how many answers were cut off. */
async function summarize(rows: AsyncIterable<JsonObject>): Promise<JsonObject> {
  let [answers, characters, cut] = [0, 0, 0];
  for await (const { all_generated_responses: texts, all_finish_reasons: reasons } of rows) {
    if (Array.isArray(texts)) {
      for (const text of texts) {
        answers++;
        characters += String(text).length;
      }
    }
    if (Array.isArray(reasons)) cut += reasons.filter((reason) => reason === 'length').length;
  }
  return { answers, mean_characters: answers === 0 ? 0 : characters / answers, cut_off: cut };
}
