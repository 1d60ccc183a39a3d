/**
 * Llama, and Mistral, which differs by its sliding window.
 *
 *   x = x + attention(rmsnorm(x));   x = x + mlp(rmsnorm(x))
 */
import type { Family, ModelDescription } from './causal-lm.ts';
import { ConfigReader, type Fields } from './config-reader.ts';
import { type Block, type BlockParts, describeDecoder } from './decoder.ts';
import { readDecoderConfig } from './decoder-config.ts';

export const llama: Family = {
  architecture: 'LlamaForCausalLM',
  modelType: 'llama',
  describe: (raw, file) => describe('LlamaForCausalLM', raw, file),
};

export const mistral: Family = {
  architecture: 'MistralForCausalLM',
  modelType: 'mistral',
  describe: (raw, file) => describe('MistralForCausalLM', raw, file),
};

function describe(architecture: string, raw: Fields, file: string): ModelDescription {
  const reader = new ConfigReader(raw, file);
  const config = readDecoderConfig(reader, { architecture, tiedHead: false });
  const window = reader.optionalWhole('sliding_window');
  reader.only('hidden_act', 'silu');
  reader.only('attention_bias', false);
  reader.only('mlp_bias', false);
  reader.only('pretraining_tp', 1);
  reader.finish();
  return describeDecoder({ config, attention: () => ({ window }), block: preNormBlock });
}

/** A norm before attention and one before the feed-forward part. */
export function preNormBlock({ norm, selfAttention, feedForward }: BlockParts): Block {
  const inputNorm = norm('input_layernorm', 'selfAttention');
  const postAttentionNorm = norm('post_attention_layernorm', 'feedForward');
  return (pass, x) => {
    const middle = selfAttention(pass, inputNorm(pass, x), x);
    return feedForward(pass, postAttentionNorm(pass, middle), middle);
  };
}
