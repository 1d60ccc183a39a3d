/**
 * Llama (and Mistral, which differs by its sliding window) over packed batches.
 *
 *   x = embed(ids)
 *   for each block:  x = x + o(attention(rope(q(n)), rope(k(n)), v(n))),  n = rmsnorm(x)
 *                    x = x + down(silu(gate(n)) * up(n)),                 n = rmsnorm(x)
 *   hidden = rmsnorm(x);   logits = hidden headᵀ
 */
import type { Tape } from '../autograd/tape.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { type LoraPair, type Projection, project, projectGated } from '../nn/projection.ts';
import type { RotaryTable } from '../nn/rotary-table.ts';
import { rotary } from '../ops/elementwise/rotary.ts';
import { type EmbeddingAttributes, embedding } from '../ops/indexing/embedding.ts';
import { rmsNorm } from '../ops/norm/rms-norm.ts';
import type { LlamaConfig } from './config.ts';

/** How the queries of one layer see keys and values: packed training, or a cache of earlier tokens. */
export type Attend = (tape: Tape, layer: number, q: Tensor, k: Tensor, v: Tensor) => Tensor;

/** What the token axis of a batch looks like to the model; index tensors on the GPU. */
export interface TokenLayout {
  readonly tokens: EmbeddingAttributes;
  readonly positions: Tensor;
  readonly attend: Attend;
}

interface Block {
  readonly inputNorm: Tensor;
  readonly q: Projection;
  readonly k: Projection;
  readonly v: Projection;
  readonly o: Projection;
  readonly postAttentionNorm: Tensor;
  readonly gate: Projection;
  readonly up: Projection;
  readonly down: Projection;
}

/** Gives the tensor of a Hugging Face weight name. */
export type WeightLookup = (name: string) => Tensor;
/** Gives the LoRA pair of a module such as 'model.layers.0.self_attn.q_proj', where it has one. */
export type LoraLookup = (module: string) => LoraPair | undefined;

export interface ForwardOptions {
  /** False runs the weights without their LoRA adapter. */
  readonly adapter: boolean;
  /** So many blocks, from the first, keep no activations inside; the backward pass computes them again. */
  readonly recomputedBlocks: number;
}

export class Llama {
  readonly config: LlamaConfig;
  readonly embedTokens: Tensor;
  /** [vocabulary, hidden]; the embedding itself where the head is tied. */
  readonly head: Tensor;
  readonly #blocks: readonly Block[];
  readonly #norm: Tensor;
  readonly #rope: RotaryTable;

  constructor(config: LlamaConfig, weight: WeightLookup, lora: LoraLookup, rope: RotaryTable) {
    this.config = config;
    this.embedTokens = weight('model.embed_tokens.weight');
    this.head = config.tiedHead ? this.embedTokens : weight('lm_head.weight');
    this.#norm = weight('model.norm.weight');
    this.#rope = rope;
    const projection = (module: string): Projection => ({
      weight: weight(`${module}.weight`),
      lora: lora(module),
    });
    this.#blocks = Array.from({ length: config.layers }, (_, i) => {
      const layer = `model.layers.${i}`;
      return {
        inputNorm: weight(`${layer}.input_layernorm.weight`),
        q: projection(`${layer}.self_attn.q_proj`),
        k: projection(`${layer}.self_attn.k_proj`),
        v: projection(`${layer}.self_attn.v_proj`),
        o: projection(`${layer}.self_attn.o_proj`),
        postAttentionNorm: weight(`${layer}.post_attention_layernorm.weight`),
        gate: projection(`${layer}.mlp.gate_proj`),
        up: projection(`${layer}.mlp.up_proj`),
        down: projection(`${layer}.mlp.down_proj`),
      };
    });
  }

  /** Hidden states before the head, [tokens, hidden]. */
  hidden(tape: Tape, layout: TokenLayout, options: ForwardOptions): Tensor {
    let [x] = tape.apply(embedding, [this.embedTokens], layout.tokens);
    this.#blocks.forEach((block, layer) => {
      const run = (inner: Tape, input: Tensor) =>
        this.#block(inner, input, layer, block, layout, options.adapter);
      const isRecomputed = layer < options.recomputedBlocks;
      x = isRecomputed ? tape.recompute([x], (inner, [input]) => run(inner, input)) : run(tape, x);
    });
    return tape.apply(rmsNorm, [x, this.#norm], { eps: this.config.rmsNormEps })[0];
  }

  #block(tape: Tape, x: Tensor, layer: number, block: Block, layout: TokenLayout, adapter: boolean): Tensor {
    const { headDim, rmsNormEps: eps } = this.config;
    const [n] = tape.apply(rmsNorm, [x, block.inputNorm], { eps });
    const rope = { ...this.#rope, positions: layout.positions, headDim };
    const [q] = tape.apply(rotary, [project(tape, n, block.q, adapter)], rope);
    const [k] = tape.apply(rotary, [project(tape, n, block.k, adapter)], rope);
    const v = project(tape, n, block.v, adapter);
    const attended = layout.attend(tape, layer, q, k, v);
    const middle = project(tape, attended, block.o, adapter, x);
    const [m] = tape.apply(rmsNorm, [middle, block.postAttentionNorm], { eps });
    const gated = projectGated(tape, m, block.gate, block.up, adapter);
    return project(tape, gated, block.down, adapter, middle);
  }
}

/** Every weight of the architecture and its shape, by Hugging Face name. */
export function weightShapes(config: LlamaConfig): Map<string, readonly number[]> {
  const { hiddenSize: hidden, intermediateSize: inner, vocabSize, headDim } = config;
  const [queries, keys] = [config.heads * headDim, config.kvHeads * headDim];
  const shapes = new Map<string, readonly number[]>([['model.embed_tokens.weight', [vocabSize, hidden]]]);
  for (let i = 0; i < config.layers; i++) {
    const layer = `model.layers.${i}`;
    shapes.set(`${layer}.input_layernorm.weight`, [hidden]);
    shapes.set(`${layer}.self_attn.q_proj.weight`, [queries, hidden]);
    shapes.set(`${layer}.self_attn.k_proj.weight`, [keys, hidden]);
    shapes.set(`${layer}.self_attn.v_proj.weight`, [keys, hidden]);
    shapes.set(`${layer}.self_attn.o_proj.weight`, [hidden, queries]);
    shapes.set(`${layer}.post_attention_layernorm.weight`, [hidden]);
    shapes.set(`${layer}.mlp.gate_proj.weight`, [inner, hidden]);
    shapes.set(`${layer}.mlp.up_proj.weight`, [inner, hidden]);
    shapes.set(`${layer}.mlp.down_proj.weight`, [hidden, inner]);
  }
  shapes.set('model.norm.weight', [hidden]);
  if (!config.tiedHead) shapes.set('lm_head.weight', [vocabSize, hidden]);
  return shapes;
}

/** The linear modules that LoRA can sit on, by the names PEFT uses. */
export const LORA_MODULES = [
  'q_proj',
  'k_proj',
  'v_proj',
  'o_proj',
  'gate_proj',
  'up_proj',
  'down_proj',
] as const;
