/**
 * What the families share: a stack of blocks between an embedding and a last norm.
 *
 *   x = s embed(ids);   x = block(x) for each layer;   hidden = rmsnorm(x);   logits = head(hidden)
 *
 * A family says what a block is, mostly out of `selfAttention` and `feedForward`, and how it differs from Llama's parts.
 */
import type { Tape } from '../autograd/tape.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { roundTo } from '../formats/half.ts';
import { type Projection, project, projectEach, projectGated, readInHalf } from '../nn/projection.ts';
import type { AttentionShape } from '../ops/attention/attention.ts';
import type { Activation } from '../ops/elementwise/glu.ts';
import { rotary } from '../ops/elementwise/rotary.ts';
import { embedding } from '../ops/indexing/embedding.ts';
import type { LmHead } from '../ops/logps/logit-chunks.ts';
import { rmsNorm } from '../ops/norm/rms-norm.ts';
import type {
  CausalLM,
  ForwardOptions,
  ModelConfig,
  ModelDescription,
  ModelParts,
  TokenLayout,
} from './causal-lm.ts';
import {
  decoderWeights,
  EMBEDDING,
  headName,
  LAST_NORM,
  layerName,
  type MoreWeights,
} from './weight-table.ts';

/** One run of the forward pass. */
export interface Pass {
  readonly tape: Tape;
  readonly layout: TokenLayout;
  readonly adapter: boolean;
}

/** A part of the model: [tokens, hidden] to [tokens, hidden]. What is given as a residual is added by its last kernel. */
export type Layer = (pass: Pass, x: Tensor, residual?: Tensor) => Tensor;

/** The block of one layer. */
export type Block = (pass: Pass, x: Tensor) => Tensor;

/** What a block is made of. */
export interface BlockParts {
  /** The norm of a name such as 'input_layernorm', and the part that alone reads what it makes, where there is one. */
  norm(name: string, before?: 'selfAttention' | 'feedForward'): Layer;
  /** n -> o(attention(rope(q(n)), rope(k(n)), v(n))). */
  readonly selfAttention: Layer;
  /** n -> down(f(gate(n)) * up(n)). */
  readonly feedForward: Layer;
}

/** A family's forward pass, as it differs from Llama's. */
export interface DecoderOptions extends MoreWeights {
  readonly config: ModelConfig;
  /** Scale, window and cap of a layer's attention. Default: none of them. */
  attention?(layer: number): Pick<AttentionShape, 'scale' | 'window' | 'softcap'>;
  block(parts: BlockParts): Block;
  /** Default: 'silu'. */
  readonly activation?: Activation;
  /** Embeddings are multiplied by this number, rounded to the dtype of the computation as transformers does. Default 1. */
  readonly embeddingScale?: number;
}

/** The weights and the forward pass of a decoder. */
export function describeDecoder(options: DecoderOptions): ModelDescription {
  return {
    config: options.config,
    weights: decoderWeights(options.config, options),
    build: (parts) => new Decoder(options, parts),
  };
}

class Decoder implements CausalLM {
  readonly config: ModelConfig;
  readonly attention: readonly AttentionShape[];
  readonly head: LmHead;
  readonly #embedding: Tensor;
  readonly #embeddingScale: number;
  readonly #blocks: readonly Block[];
  readonly #norm: Layer;

  constructor(options: DecoderOptions, parts: ModelParts) {
    const { config } = options;
    const { heads, kvHeads, headDim } = config;
    this.config = config;
    this.attention = Array.from({ length: config.layers }, (_, layer) => ({
      heads,
      kvHeads,
      headDim,
      ...options.attention?.(layer),
    }));
    this.head = { weight: parts.weight(headName(config)), softcap: config.logitSoftcap };
    this.#embedding = parts.weight(EMBEDDING);
    this.#embeddingScale = roundTo(options.embeddingScale ?? 1, parts.precision);
    this.#blocks = this.attention.map((_, layer) => options.block(blockParts(options, parts, layer)));
    this.#norm = normLayer(options, parts.weight(LAST_NORM));
  }

  hidden(tape: Tape, layout: TokenLayout, { adapter, recomputedBlocks }: ForwardOptions): Tensor {
    let [x] = tape.apply(embedding, [this.#embedding], { ...layout.tokens, scale: this.#embeddingScale });
    this.#blocks.forEach((block, layer) => {
      const run = (inner: Tape, input: Tensor) => block({ tape: inner, layout, adapter }, input);
      const isRecomputed = layer < recomputedBlocks;
      x = isRecomputed ? tape.recompute([x], (inner, [input]) => run(inner, input)) : run(tape, x);
    });
    return this.#norm({ tape, layout, adapter }, x);
  }
}

function blockParts(options: DecoderOptions, parts: ModelParts, index: number): BlockParts {
  const layer = layerName(index);
  const readers = {
    selfAttention: ['q_proj', 'k_proj', 'v_proj'].map((name) =>
      projection(parts, `${layer}.self_attn.${name}`),
    ),
    feedForward: ['gate_proj', 'up_proj'].map((name) => projection(parts, `${layer}.mlp.${name}`)),
  };
  return {
    norm: (name, before) =>
      normLayer(options, parts.weight(`${layer}.${name}.weight`), before && readers[before]),
    selfAttention: attentionLayer(options, parts, index),
    feedForward: feedForwardLayer(options, parts, `${layer}.mlp`),
  };
}

function attentionLayer(options: DecoderOptions, parts: ModelParts, index: number): Layer {
  const module = `${layerName(index)}.self_attn`;
  const { queryKeyValueBias = false, headNorms = false } = options;
  const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((name) => ({
    ...projection(parts, `${module}.${name}`),
    bias: queryKeyValueBias ? parts.weight(`${module}.${name}.bias`) : undefined,
  }));
  const o = projection(parts, `${module}.o_proj`);
  const headNorm = (name: string) =>
    headNorms ? normLayer(options, parts.weight(`${module}.${name}.weight`)) : undefined;
  const [qNorm, kNorm] = [headNorm('q_norm'), headNorm('k_norm')];
  const attendProducts = ({ tape, layout, adapter }: Pass, n: Tensor): Tensor | undefined => {
    const isBare = [q, k, v].every(
      ({ bias, lora }) => bias === undefined && !(adapter && lora !== undefined),
    );
    if (!isBare || headNorms) return undefined;
    const weights = { q: q.weight, k: k.weight, v: v.weight };
    return layout.attendProducts?.(tape, index, n, weights, parts.rope);
  };
  const attend = (pass: Pass, n: Tensor): Tensor => {
    const { tape, layout, adapter } = pass;
    const turn = { ...parts.rope, positions: layout.positions, headDim: options.config.headDim };
    const rotaries = [qNorm, kNorm].map((norm) => (norm === undefined ? turn : undefined));
    const [queries, keys, values] = projectEach(tape, n, [q, k, v], adapter, rotaries);
    const turned = (x: Tensor, norm: Layer | undefined) =>
      norm === undefined ? x : tape.apply(rotary, [norm(pass, x)], turn)[0];
    const half = readInHalf(tape, [o], n.shape[0]);
    return layout.attend(tape, index, turned(queries, qNorm), turned(keys, kNorm), values, half);
  };
  return (pass, n, residual) =>
    project(pass.tape, attendProducts(pass, n) ?? attend(pass, n), o, pass.adapter, { residual });
}

function feedForwardLayer({ activation = 'silu' }: DecoderOptions, parts: ModelParts, module: string): Layer {
  const [gate, up, down] = ['gate_proj', 'up_proj', 'down_proj'].map((name) =>
    projection(parts, `${module}.${name}`),
  );
  return ({ tape, adapter }, n, residual) => {
    const half = readInHalf(tape, [down], n.shape[0]);
    const y = projectGated(tape, n, { gate, up, activation, half }, adapter);
    return project(tape, y, down, adapter, { residual });
  };
}

function projection(parts: ModelParts, module: string): Projection {
  return { weight: parts.weight(`${module}.weight`), lora: parts.lora(module) };
}

/**
 * Over rows of the weight's length: of hidden states, or of heads.
 * @param readers the only layers that read what it makes
 */
function normLayer(
  { config, unitOffsetNorms = false }: DecoderOptions,
  weight: Tensor,
  readers?: readonly Projection[],
): Layer {
  const attributes = { eps: config.rmsNormEps, unitOffset: unitOffsetNorms };
  return ({ tape }, x, residual) => {
    const half = readers !== undefined && readInHalf(tape, readers, x.shape[0]);
    const inputs = residual === undefined ? [x, weight] : [x, weight, residual];
    return tape.apply(rmsNorm, inputs, { ...attributes, half })[0];
  };
}
