/**
 * What a language model is to the rest of prefgrad: a description made from its config.json, and, once its weights are
 * on the GPU, a forward pass. A family (llama.ts, qwen2.ts, ...) gives both; nothing outside of this folder knows one.
 */
import type { Tape } from '../autograd/tape.ts';
import type { Tensor } from '../autograd/tensor.ts';
import type { FloatDType } from '../formats/half.ts';
import type { LoraPair } from '../nn/projection.ts';
import type { RopeScaling, RotaryTable } from '../nn/rotary-table.ts';
import type { AttentionShape } from '../ops/attention/attention.ts';
import type { AttentionWeights } from '../ops/attention/attention-inputs.ts';
import type { EmbeddingAttributes } from '../ops/indexing/embedding.ts';
import type { LmHead } from '../ops/logps/logit-chunks.ts';

/** Sizes and constants that all families have. */
export interface ModelConfig {
  /** As Hugging Face names it, such as 'LlamaForCausalLM'. */
  readonly architecture: string;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly maxPositions: number;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling | undefined;
  /** Gemma 2's cap on logits. */
  readonly logitSoftcap: number | undefined;
  /** The head is the embedding itself. */
  readonly tiedHead: boolean;
}

/** One weight of a checkpoint and what may be done with it. */
export interface WeightSpec {
  /** Its Hugging Face name. */
  readonly name: string;
  readonly shape: readonly number[];
  /** How it starts in a model from scratch: drawn from normal(0, initializer_range), or so that it changes nothing. */
  readonly initial: 'normal' | 'ones' | 'zeros';
  /** Whether weight decay pulls at it: matrices, but neither norms nor biases. */
  readonly decays: boolean;
  /** Whether it may be held in 8 or 4 bits where it is frozen. */
  readonly quantizable: boolean;
  /** PEFT's name of the linear module that it belongs to ('q_proj'), where LoRA can sit on it. */
  readonly loraTarget: string | undefined;
  /** The part of a block whose input it reads, 'model.layers.0.mlp' for gate and up: what reads the same activations. */
  readonly inputOf?: string | undefined;
}

/**
 * How the queries of one layer see keys and values: packed training, or a cache of earlier tokens. q, k and v are
 * [tokens, heads * headDim] with their rotary embedding; the layer's shape is `CausalLM.attention[layer]`. `half` allows a result in
 * f16, as inputs of products are staged (AttentionAttributes).
 */
export type Attend = (tape: Tape, layer: number, q: Tensor, k: Tensor, v: Tensor, half: boolean) => Tensor;

/**
 * `Attend` from the products on, where q, k and v are those of x [tokens, hidden] with rotary embedding and nothing else.
 * @returns undefined where it has no kernel for that, and has recorded nothing
 */
export type AttendProducts = (
  tape: Tape,
  layer: number,
  x: Tensor,
  weights: AttentionWeights,
  rope: RotaryTable,
) => Tensor | undefined;

/** What the token axis of a batch looks like to the model; index tensors on the GPU. */
export interface TokenLayout {
  readonly tokens: EmbeddingAttributes;
  /** u32 [tokens]. */
  readonly positions: Tensor;
  readonly attend: Attend;
  readonly attendProducts?: AttendProducts;
}

export interface ForwardOptions {
  /** False runs the weights without their LoRA adapter. */
  readonly adapter: boolean;
  /** So many blocks, from the first, keep no activations inside; the backward pass computes them again. */
  readonly recomputedBlocks: number;
}

/** A model on the GPU. */
export interface CausalLM {
  readonly config: ModelConfig;
  /** Heads, scale, window and cap of each layer's attention. */
  readonly attention: readonly AttentionShape[];
  /** Makes logits of hidden states. */
  readonly head: LmHead;
  /** Hidden states before the head, [tokens, hidden]. */
  hidden(tape: Tape, layout: TokenLayout, options: ForwardOptions): Tensor;
}

/** What a model is built over. */
export interface ModelParts {
  /** The tensor of a Hugging Face weight name. */
  weight(name: string): Tensor;
  /** The LoRA pair of a module such as 'model.layers.0.self_attn.q_proj', where it has one. */
  lora(module: string): LoraPair | undefined;
  readonly rope: RotaryTable;
  /** Of the weights that products read; transformers rounds a model's constants to it. */
  readonly precision: FloatDType;
}

/** A checkpoint as its config.json describes it, before any weight is read. */
export interface ModelDescription {
  readonly config: ModelConfig;
  /** Every weight of the checkpoint, in the order of the forward pass. */
  readonly weights: readonly WeightSpec[];
  build(parts: ModelParts): CausalLM;
}

/** One architecture. */
export interface Family {
  /** config.json: `architectures[0]`. */
  readonly architecture: string;
  /** config.json: `model_type`. */
  readonly modelType: string;
  /**
   * @param raw the parsed config.json
   * @param file its path, for messages
   * @throws InputErrors naming every field that is missing, unsound or not supported
   */
  describe(raw: Readonly<Record<string, unknown>>, file: string): ModelDescription;
}
