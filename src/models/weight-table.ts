/** The weights of a decoder by their Hugging Face names, which all families share; blocks may have more vectors. */
import type { ModelConfig, WeightSpec } from './causal-lm.ts';

/** The linear modules that LoRA can sit on, by the names PEFT uses. */
export const LORA_TARGETS = [
  'q_proj',
  'k_proj',
  'v_proj',
  'o_proj',
  'gate_proj',
  'up_proj',
  'down_proj',
] as const;

export const EMBEDDING = 'model.embed_tokens.weight';
export const HEAD = 'lm_head.weight';
export const LAST_NORM = 'model.norm.weight';

/** 'model.layers.3'. */
export function layerName(index: number): string {
  return `model.layers.${index}`;
}

/**
 * A norm's weight or a bias.
 * @param initial 'ones' for a norm that scales by w, 'zeros' for one that scales by 1 + w, and for a bias
 */
export function vector(name: string, length: number, initial: 'ones' | 'zeros'): WeightSpec {
  return { name, shape: [length], initial, decays: false, quantizable: false, loraTarget: undefined };
}

/** The weights of a block that has a norm before attention and one before the feed-forward part, in their order. */
export function blockWeights(config: ModelConfig, layer: string): WeightSpec[] {
  const { hiddenSize: hidden, intermediateSize: inner, headDim } = config;
  const [queries, keys] = [config.heads * headDim, config.kvHeads * headDim];
  const linear = (
    part: string,
    target: (typeof LORA_TARGETS)[number],
    shape: readonly number[],
  ): WeightSpec => ({
    name: `${layer}.${part}.${target}.weight`,
    shape,
    initial: 'normal',
    decays: true,
    quantizable: true,
    loraTarget: target,
  });
  return [
    vector(`${layer}.input_layernorm.weight`, hidden, 'ones'),
    linear('self_attn', 'q_proj', [queries, hidden]),
    linear('self_attn', 'k_proj', [keys, hidden]),
    linear('self_attn', 'v_proj', [keys, hidden]),
    linear('self_attn', 'o_proj', [hidden, queries]),
    vector(`${layer}.post_attention_layernorm.weight`, hidden, 'ones'),
    linear('mlp', 'gate_proj', [inner, hidden]),
    linear('mlp', 'up_proj', [inner, hidden]),
    linear('mlp', 'down_proj', [hidden, inner]),
  ];
}

/** @param more what a block has besides `blockWeights` */
export function decoderWeights(
  config: ModelConfig,
  more: (layer: string) => readonly WeightSpec[] = () => [],
): WeightSpec[] {
  const table = (name: string): WeightSpec => ({
    name,
    shape: [config.vocabSize, config.hiddenSize],
    initial: 'normal',
    decays: true,
    quantizable: false,
    loraTarget: undefined,
  });
  const blocks = Array.from({ length: config.layers }, (_, i) => {
    const layer = layerName(i);
    return [...blockWeights(config, layer), ...more(layer)];
  });
  const head = config.tiedHead ? [] : [table(HEAD)];
  return [table(EMBEDDING), ...blocks.flat(), vector(LAST_NORM, config.hiddenSize, 'ones'), ...head];
}

/** The weight that makes logits. */
export function headName({ tiedHead }: ModelConfig): string {
  return tiedHead ? EMBEDDING : HEAD;
}
