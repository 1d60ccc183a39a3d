/** The families that prefgrad runs. A new one is a file of its own and a line here. */
import { InputError } from '../errors.ts';
import type { Family, ModelDescription } from './causal-lm.ts';
import { gemma2 } from './gemma2.ts';
import { llama, mistral } from './llama.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';

export const FAMILIES: readonly Family[] = [llama, mistral, qwen2, qwen3, gemma2];

/**
 * @param raw the parsed config.json
 * @param file its path, for messages
 * @throws InputError naming the architecture or every field that is not supported
 */
export function describeModel(raw: Readonly<Record<string, unknown>>, file: string): ModelDescription {
  const names: readonly unknown[] = Array.isArray(raw.architectures) ? raw.architectures : [];
  const family = FAMILIES.find(({ architecture, modelType }) =>
    names.length > 0 ? names[0] === architecture : raw.model_type === modelType,
  );
  if (family !== undefined) return family.describe(raw, file);
  const known = FAMILIES.map(({ architecture }) => architecture);
  const name = names[0] ?? raw.model_type;
  const what =
    name === undefined
      ? 'neither architectures nor model_type says what it is'
      : `the architecture ${JSON.stringify(name)} is not supported`;
  throw new InputError(
    `${file}: ${what}; ` + `prefgrad runs ${known.slice(0, -1).join(', ')} and ${known.at(-1)}.`,
  );
}

/** Fields of config.json that speak of a head that makes no logits; its reader looks at them. */
const HEAD_FIELDS = /^(num_labels|id2label|label2id|problem_type|num_objectives|gating_\w+|auto_map)$/;

/**
 * What lies below the head of a checkpoint whose head is another one than its family's: its description with a tied head,
 * for which the checkpoint needs no weights.
 * @throws InputError naming the family or every field that is not supported
 */
export function describeBackbone(raw: Readonly<Record<string, unknown>>, file: string): ModelDescription {
  const ofBackbone = Object.entries(raw).filter(([name]) => !HEAD_FIELDS.test(name));
  return describeModel(
    { ...Object.fromEntries(ofBackbone), architectures: [], tie_word_embeddings: true },
    file,
  );
}
