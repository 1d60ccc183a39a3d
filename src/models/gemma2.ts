/**
 * Gemma 2.
 *
 *   x = sqrt(hidden) embed(ids)
 *   x = x + norm(attention(norm(x)));   x = x + norm(mlp(norm(x)))     norms multiply by 1 + w, mlp has GELU (tanh)
 *   scores and logits are capped: cap * tanh(z / cap);   layers 0, 2, ... have a sliding window
 *
 * Source: transformers 4.57, models/gemma2/modeling_gemma2.py; defaults of its configuration_gemma2.py.
 */
import type { Family } from './causal-lm.ts';
import { ConfigReader } from './config-reader.ts';
import { type Block, type BlockParts, describeDecoder } from './decoder.ts';
import { readDecoderConfig } from './decoder-config.ts';

export const gemma2: Family = {
  architecture: 'Gemma2ForCausalLM',
  modelType: 'gemma2',
  describe(raw, file) {
    const reader = new ConfigReader(raw, file);
    const config = readDecoderConfig(reader, {
      architecture: 'Gemma2ForCausalLM',
      tiedHead: true,
      headDim: 256,
    });
    const scale = reader.real('query_pre_attn_scalar', 256) ** -0.5;
    const softcap = reader.realOrNone('attn_logit_softcapping', 50);
    const logitSoftcap = reader.realOrNone('final_logit_softcapping', 30);
    const window = reader.whole('sliding_window', 4096);
    const sliding = reader.slidingLayers(config.layers);
    reader.only('hidden_activation', 'gelu_pytorch_tanh');
    // Written by older versions of transformers, and not read for this architecture.
    reader.only('hidden_act', 'gelu_pytorch_tanh');
    reader.only('attention_bias', false);
    reader.only('use_bidirectional_attention', false, null);
    reader.finish();
    return describeDecoder({
      config: { ...config, logitSoftcap },
      attention: (layer) => ({
        scale,
        softcap,
        window: (sliding?.[layer] ?? layer % 2 === 0) ? window : undefined,
      }),
      block: sandwichedBlock,
      moreNorms: ['pre_feedforward_layernorm', 'post_feedforward_layernorm'],
      unitOffsetNorms: true,
      activation: 'gelu_tanh',
      embeddingScale: Math.sqrt(config.hiddenSize),
    });
  },
};

/** Norms before and after attention, and before and after the feed-forward part. */
function sandwichedBlock({ norm, selfAttention, feedForward }: BlockParts): Block {
  const before = norm('input_layernorm', 'selfAttention');
  const after = norm('post_attention_layernorm');
  const beforeMlp = norm('pre_feedforward_layernorm', 'feedForward');
  const afterMlp = norm('post_feedforward_layernorm');
  return (pass, x) => {
    const middle = after(pass, selfAttention(pass, before(pass, x)), x);
    return afterMlp(pass, feedForward(pass, beforeMlp(pass, middle)), middle);
  };
}
