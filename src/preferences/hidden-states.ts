/** Hidden states of whole texts at chosen places: what reward heads and embeddings read. */
import { shapeOf } from '../data/batches.ts';
import type { UnpairedExample } from '../data/examples.ts';
import type { Gpu } from '../gpu/device.ts';
import type { CausalLM } from '../models/causal-lm.ts';
import { referenceHidden } from '../step/reference-rows.ts';

export interface HiddenRequest {
  /** Token ids of the text. */
  readonly ids: readonly number[];
  /** Places among them whose states are wanted, growing. */
  readonly places: readonly number[];
}

/**
 * @returns for every request one state per place, f32 [hidden size] each
 * @throws RangeError for a text without tokens
 */
export async function hiddenStates(
  gpu: Gpu,
  model: CausalLM,
  requests: readonly HiddenRequest[],
  maxTokens: number,
): Promise<Float32Array[][]> {
  const examples = requests.map(exampleOf);
  const width = model.config.hiddenSize;
  const states: Float32Array[] = [];
  for await (const values of referenceHidden(gpu, { model, adapter: true }, examples, maxTokens)) {
    for (let at = 0; at < values.length; at += width) states.push(values.slice(at, at + width));
  }
  return examples.map((example) => states.splice(0, shapeOf(example).rows));
}

/**
 * A text as an answer that "predicts" from exactly the wanted places: behind the first token everything is answer, answer
 * token i is predicted at place i, and one token more, which is no input, lets the last place predict, too.
 */
function exampleOf({ ids, places }: HiddenRequest, index: number): UnpairedExample {
  if (ids.length === 0) throw new RangeError('A text without tokens has no hidden states.');
  const lossMask = new Uint8Array(ids.length);
  for (const place of places) lossMask[place] = 1;
  return {
    kind: 'unpaired',
    label: true,
    index,
    line: index + 1,
    truncated: false,
    promptIds: Int32Array.from(ids.slice(0, 1)),
    completion: { ids: Int32Array.from([...ids.slice(1), 0]), lossMask },
  };
}
