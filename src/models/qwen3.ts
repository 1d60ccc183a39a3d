/**
 * Qwen 3: Llama's blocks with a norm over each head of q and of k, ahead of the rotary embedding.
 *
 * Source: transformers 4.57, models/qwen3/modeling_qwen3.py.
 */
import type { Family } from './causal-lm.ts';
import { ConfigReader } from './config-reader.ts';
import { describeDecoder } from './decoder.ts';
import { readDecoderConfig, refuseWindows } from './decoder-config.ts';
import { preNormBlock } from './llama.ts';

export const qwen3: Family = {
  architecture: 'Qwen3ForCausalLM',
  modelType: 'qwen3',
  describe(raw, file) {
    const reader = new ConfigReader(raw, file);
    const config = readDecoderConfig(reader, {
      architecture: 'Qwen3ForCausalLM',
      tiedHead: false,
      headDim: 128,
    });
    refuseWindows(reader, config.layers);
    reader.only('hidden_act', 'silu');
    reader.only('attention_bias', false);
    reader.finish();
    return describeDecoder({ config, block: preNormBlock, headNorms: true });
  },
};
