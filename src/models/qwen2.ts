/**
 * Qwen 2 and 2.5: Llama's blocks with biases on q, k and v.
 *
 * Source: transformers 4.57, models/qwen2/modeling_qwen2.py.
 */
import type { Family } from './causal-lm.ts';
import { ConfigReader } from './config-reader.ts';
import { describeDecoder } from './decoder.ts';
import { readDecoderConfig, refuseWindows } from './decoder-config.ts';
import { preNormBlock } from './llama.ts';

export const qwen2: Family = {
  architecture: 'Qwen2ForCausalLM',
  modelType: 'qwen2',
  describe(raw, file) {
    const reader = new ConfigReader(raw, file);
    const config = readDecoderConfig(reader, { architecture: 'Qwen2ForCausalLM', tiedHead: false });
    refuseWindows(reader, config.layers);
    reader.only('hidden_act', 'silu');
    reader.only('use_mrope', false);
    reader.finish();
    return describeDecoder({ config, block: preNormBlock, queryKeyValueBias: true });
  },
};
