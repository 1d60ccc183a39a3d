/**
 * Llama, and Mistral, which differs by its sliding window.
 *
 *   x = x + attention(rmsnorm(x));   x = x + mlp(rmsnorm(x))
 */
import type { Family, ModelDescription } from './causal-lm.ts';
import { ConfigReader, type Fields } from './config-reader.ts';
import { type Block, type BlockParts, Decoder } from './decoder.ts';
import { readDecoderConfig } from './decoder-config.ts';
import { decoderWeights } from './weight-table.ts';

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
  const { heads, kvHeads, headDim } = config;
  const window = reader.optionalWhole('sliding_window');
  reader.only('hidden_act', 'silu');
  reader.only('attention_bias', false);
  reader.only('mlp_bias', false);
  reader.only('attention_dropout', 0, null);
  reader.only('pretraining_tp', 1);
  reader.only('quantization_config', null);
  reader.finish();
  const shape = { heads, kvHeads, headDim, window };
  const attention = Array.from({ length: config.layers }, () => shape);
  return {
    config,
    weights: decoderWeights(config),
    build: (parts) => new Decoder({ config, attention, block: preNormBlock }, parts),
  };
}

/** A norm before attention and one before the feed-forward part. */
export function preNormBlock({ norm, selfAttention, feedForward }: BlockParts): Block {
  const inputNorm = norm('input_layernorm');
  const postAttentionNorm = norm('post_attention_layernorm');
  return (pass, x) => {
    const middle = selfAttention(pass, inputNorm(pass, x), x);
    return feedForward(pass, postAttentionNorm(pass, middle), middle);
  };
}
