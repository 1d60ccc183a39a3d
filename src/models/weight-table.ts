/** The weights of a decoder by their Hugging Face names: Llama's, and what other families have besides. */
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

/** A vector, which no decay pulls at: a norm's weight or a bias. */
function vector(name: string, length: number, initial: 'ones' | 'zeros'): WeightSpec {
  return { name, shape: [length], initial, decays: false, quantizable: false, loraTarget: undefined };
}

/** A norm starts as one that only scales to length 1. */
function normStart({ unitOffsetNorms }: MoreWeights): 'ones' | 'zeros' {
  return unitOffsetNorms ? 'zeros' : 'ones';
}

/** What the blocks of a family have besides Llama's weights. */
export interface MoreWeights {
  /** q, k and v have biases. */
  readonly queryKeyValueBias?: boolean;
  /** Norms of q and k, over each head: q_norm and k_norm. */
  readonly headNorms?: boolean;
  /** Norms of hidden states besides input_layernorm and post_attention_layernorm. */
  readonly moreNorms?: readonly string[];
  /** Norms multiply by 1 + w, so that w starts at 0. */
  readonly unitOffsetNorms?: boolean;
}

function blockWeights(config: ModelConfig, more: MoreWeights, layer: string): WeightSpec[] {
  const { hiddenSize: hidden, intermediateSize: inner, headDim } = config;
  const [queries, keys] = [config.heads * headDim, config.kvHeads * headDim];
  const linear = (
    part: string,
    target: (typeof LORA_TARGETS)[number],
    shape: readonly number[],
    readsInput = false,
  ): WeightSpec => ({
    name: `${layer}.${part}.${target}.weight`,
    shape,
    initial: 'normal',
    decays: true,
    quantizable: true,
    loraTarget: target,
    inputOf: readsInput ? `${layer}.${part}` : undefined,
  });
  const bias = (target: string, length: number) =>
    vector(`${layer}.self_attn.${target}.bias`, length, 'zeros');
  const norm = (name: string, length: number) => vector(`${layer}.${name}.weight`, length, normStart(more));
  return [
    norm('input_layernorm', hidden),
    linear('self_attn', 'q_proj', [queries, hidden], true),
    linear('self_attn', 'k_proj', [keys, hidden], true),
    linear('self_attn', 'v_proj', [keys, hidden], true),
    linear('self_attn', 'o_proj', [hidden, queries]),
    ...(more.queryKeyValueBias ? [bias('q_proj', queries), bias('k_proj', keys), bias('v_proj', keys)] : []),
    ...(more.headNorms ? [norm('self_attn.q_norm', headDim), norm('self_attn.k_norm', headDim)] : []),
    norm('post_attention_layernorm', hidden),
    linear('mlp', 'gate_proj', [inner, hidden], true),
    linear('mlp', 'up_proj', [inner, hidden], true),
    linear('mlp', 'down_proj', [hidden, inner]),
    ...(more.moreNorms ?? []).map((name) => norm(name, hidden)),
  ];
}

/** Every weight, in the order of the forward pass. */
export function decoderWeights(config: ModelConfig, more: MoreWeights): WeightSpec[] {
  const table = (name: string): WeightSpec => ({
    name,
    shape: [config.vocabSize, config.hiddenSize],
    initial: 'normal',
    decays: true,
    quantizable: false,
    loraTarget: undefined,
  });
  const blocks = Array.from({ length: config.layers }, (_, i) => blockWeights(config, more, layerName(i)));
  const head = config.tiedHead ? [] : [table(HEAD)];
  return [table(EMBEDDING), ...blocks.flat(), vector(LAST_NORM, config.hiddenSize, normStart(more)), ...head];
}

/** The weight that makes logits. */
export function headName({ tiedHead }: ModelConfig): string {
  return tiedHead ? EMBEDDING : HEAD;
}
