/**
 * From logits to a token, on the host: temperature, then top-k, then top-p, as transformers orders them. Every draw
 * depends on (seed, sequence, position) alone, so a sample does not change with the batch it ran in.
 */
import { uniformAt } from '../data/random.ts';

export interface SamplingOptions {
  /** 0 means greedy: the most probable token, the lowest id on ties. */
  readonly temperature: number;
  /** Keep this many of the most probable tokens; 0 keeps all. */
  readonly topK: number;
  /** Keep the smallest set of most probable tokens whose probabilities reach this sum; 1 keeps all. */
  readonly topP: number;
  readonly seed: number;
}

/** @param sequence number of the sequence in the request; @param position of the token to be drawn. */
export function sampleToken(
  logits: Float32Array,
  options: SamplingOptions,
  sequence: number,
  position: number,
): number {
  if (options.temperature === 0) return argmax(logits);
  const kept = candidates(logits, options);
  const weights = kept.map((id) => Math.exp((logits[id] - logits[kept[0]]) / options.temperature));
  const limit = nucleus(weights, options.topP);
  const total = weights.slice(0, limit).reduce((sum, w) => sum + w, 0);
  let rest = uniformAt(options.seed, sequence, position) * total;
  for (let i = 0; i < limit; i++) {
    rest -= weights[i];
    if (rest < 0) return kept[i];
  }
  return kept[limit - 1];
}

export function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** Token ids by falling logit, the lower id first on ties; the first `topK` of them. */
function candidates(logits: Float32Array, { topK }: SamplingOptions): number[] {
  const ids = Array.from(logits, (_, i) => i).sort((a, b) => logits[b] - logits[a] || a - b);
  return topK > 0 ? ids.slice(0, topK) : ids;
}

/** How many of the leading weights are needed to reach the share `topP`. */
function nucleus(weights: readonly number[], topP: number): number {
  if (topP >= 1) return weights.length;
  const target = topP * weights.reduce((sum, w) => sum + w, 0);
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    sum += weights[i];
    if (sum >= target) return i + 1;
  }
  return weights.length;
}
