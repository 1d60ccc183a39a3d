/** Requests to an engine over stories260K, and what comes of them. */
import type { Engine } from '../../src/generate/engine.ts';
import type { Generation } from '../../src/generate/generation.ts';
import type { GenerationRequest } from '../../src/generate/request.ts';
import type { ScoredToken } from '../../src/ops/sampling/sample.ts';

export const PROMPT = [1, 403, 407, 261, 378];
/** PyTorch's. */
export const GREEDY = [
  432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426, 338, 401, 396, 267, 337, 410, 408,
];
export const SAMPLED = {
  temperature: 1,
  topP: 0.95,
  topK: 100,
  minP: 0.001,
  repetitionPenalty: 1.1,
  seed: 3,
};
/** Prompts of one token to several blocks. */
export const PROMPTS = [1, 2, 16, 17, 5, 40].map((length, i) =>
  Array.from({ length }, (_, j) => 3 + ((97 * i + 31 * j) % 500)),
);

export interface Answer {
  readonly tokens: number[];
  readonly scored: (ScoredToken | undefined)[];
  reason: string | undefined;
}

export async function answers(generation: Generation, n = 1): Promise<Answer[]> {
  const found = Array.from({ length: n }, (): Answer => ({ tokens: [], scored: [], reason: undefined }));
  for await (const event of generation) {
    if (event.kind === 'prompt') continue;
    const answer = found[event.sample];
    if (event.kind === 'end') answer.reason = event.reason;
    else {
      answer.tokens.push(event.token);
      answer.scored.push(event.scored);
    }
  }
  return found;
}

export const all = (engine: Engine, requests: readonly GenerationRequest[]) =>
  Promise.all(requests.map((request) => answers(engine.submit(request), request.n)));

export const requests = (sampling: GenerationRequest['sampling']): GenerationRequest[] =>
  PROMPTS.map((prompt, i) => ({ prompt, maxTokens: 10 + 7 * i, sampling, logprobs: 2 }));
