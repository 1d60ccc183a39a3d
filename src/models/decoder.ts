/**
 * What the families share: a stack of blocks between an embedding and a last norm.
 *
 *   x = s embed(ids);   x = block_i(x) for each layer;   hidden = rmsnorm(x);   logits = head(hidden)
 *
 * A family says what a block is, mostly out of `selfAttention` and `feedForward`.
 */
import type { Tape } from '../autograd/tape.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { type Projection, project, projectGated } from '../nn/projection.ts';
import type { AttentionShape } from '../ops/attention/attention.ts';
import { rotary } from '../ops/elementwise/rotary.ts';
import { embedding } from '../ops/indexing/embedding.ts';
import type { LmHead } from '../ops/logps/logit-chunks.ts';
import { rmsNorm } from '../ops/norm/rms-norm.ts';
import type { CausalLM, ForwardOptions, ModelConfig, ModelParts, TokenLayout } from './causal-lm.ts';
import { EMBEDDING, headName, LAST_NORM, layerName } from './weight-table.ts';

/** One run of the forward pass. */
export interface Pass {
  readonly tape: Tape;
  readonly layout: TokenLayout;
  readonly adapter: boolean;
}

/** The block of one layer: [tokens, hidden] to [tokens, hidden]. */
export type Block = (pass: Pass, x: Tensor) => Tensor;

/** What a block is made of. */
export interface BlockParts {
  readonly index: number;
  /** The norm of a name such as 'input_layernorm'. */
  norm(name: string): (pass: Pass, x: Tensor) => Tensor;
  /** n -> o(attention(rope(q(n)), rope(k(n)), v(n))) (+ residual). */
  readonly selfAttention: Sublayer;
  /** n -> down(silu(gate(n)) * up(n)) (+ residual). */
  readonly feedForward: Sublayer;
}

/** @param residual is added to the result, in the same kernel */
export type Sublayer = (pass: Pass, n: Tensor, residual?: Tensor) => Tensor;

export interface DecoderOptions {
  readonly config: ModelConfig;
  /** By layer. */
  readonly attention: readonly AttentionShape[];
  block(parts: BlockParts): Block;
}

export class Decoder implements CausalLM {
  readonly config: ModelConfig;
  readonly attention: readonly AttentionShape[];
  readonly head: LmHead;
  readonly #embedding: Tensor;
  readonly #blocks: readonly Block[];
  readonly #norm: (pass: Pass, x: Tensor) => Tensor;

  constructor(options: DecoderOptions, parts: ModelParts) {
    const { config } = options;
    this.config = config;
    this.attention = options.attention;
    this.head = { weight: parts.weight(headName(config)), softcap: config.logitSoftcap };
    this.#embedding = parts.weight(EMBEDDING);
    this.#norm = normOf(config, parts.weight(LAST_NORM));
    this.#blocks = Array.from({ length: config.layers }, (_, i) =>
      options.block(blockParts(config, parts, i)),
    );
  }

  hidden(tape: Tape, layout: TokenLayout, { adapter, recomputedBlocks }: ForwardOptions): Tensor {
    let [x] = tape.apply(embedding, [this.#embedding], layout.tokens);
    this.#blocks.forEach((block, layer) => {
      const run = (inner: Tape, input: Tensor) => block({ tape: inner, layout, adapter }, input);
      x =
        layer < recomputedBlocks ? tape.recompute([x], (inner, [input]) => run(inner, input)) : run(tape, x);
    });
    return this.#norm({ tape, layout, adapter }, x);
  }
}

function blockParts(config: ModelConfig, parts: ModelParts, index: number): BlockParts {
  const layer = layerName(index);
  const projection = (module: string): Projection => ({
    weight: parts.weight(`${layer}.${module}.weight`),
    lora: parts.lora(`${layer}.${module}`),
  });
  const [q, k, v, o] = ['q', 'k', 'v', 'o'].map((name) => projection(`self_attn.${name}_proj`));
  const [gate, up, down] = ['gate', 'up', 'down'].map((name) => projection(`mlp.${name}_proj`));
  return {
    index,
    norm: (name) => normOf(config, parts.weight(`${layer}.${name}.weight`)),
    selfAttention({ tape, layout, adapter }, n, residual) {
      const rope = { ...parts.rope, positions: layout.positions, headDim: config.headDim };
      const [queries] = tape.apply(rotary, [project(tape, n, q, adapter)], rope);
      const [keys] = tape.apply(rotary, [project(tape, n, k, adapter)], rope);
      const values = project(tape, n, v, adapter);
      return project(tape, layout.attend(tape, index, queries, keys, values), o, adapter, residual);
    },
    feedForward({ tape, adapter }, n, residual) {
      return project(tape, projectGated(tape, n, gate, up, adapter), down, adapter, residual);
    },
  };
}

function normOf({ rmsNormEps: eps }: ModelConfig, weight: Tensor): (pass: Pass, x: Tensor) => Tensor {
  return ({ tape }, x) => tape.apply(rmsNorm, [x, weight], { eps })[0];
}
