/** What config.json may say: the fields of published checkpoints, and by name the ones that would change the mathematics. */
import { describe, expect, it } from 'vitest';
import { describeModel } from '../../src/models/registry.ts';

type Config = Readonly<Record<string, unknown>>;

const sizes = {
  vocab_size: 1000,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-6,
  initializer_range: 0.02,
  use_cache: true,
  attention_dropout: 0.0,
  torch_dtype: 'bfloat16',
  transformers_version: '4.43.1',
};

/** With the fields that published checkpoints of the family have, and small sizes. */
const published = {
  llama: {
    ...sizes,
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    attention_bias: false,
    mlp_bias: false,
    hidden_act: 'silu',
    pretraining_tp: 1,
    bos_token_id: 128000,
    eos_token_id: [128001, 128008, 128009],
    rope_theta: 500000.0,
    rope_scaling: {
      factor: 32.0,
      high_freq_factor: 4.0,
      low_freq_factor: 1.0,
      original_max_position_embeddings: 8192,
      rope_type: 'llama3',
    },
    tie_word_embeddings: true,
  },
  mistral: {
    ...sizes,
    architectures: ['MistralForCausalLM'],
    model_type: 'mistral',
    hidden_act: 'silu',
    rope_theta: 10000.0,
    sliding_window: 16,
    tie_word_embeddings: false,
  },
  qwen2: {
    ...sizes,
    architectures: ['Qwen2ForCausalLM'],
    model_type: 'qwen2',
    hidden_act: 'silu',
    rope_theta: 1000000.0,
    max_window_layers: 21,
    sliding_window: 32768,
    use_sliding_window: false,
    tie_word_embeddings: true,
  },
  qwen3: {
    ...sizes,
    architectures: ['Qwen3ForCausalLM'],
    model_type: 'qwen3',
    attention_bias: false,
    head_dim: 32,
    hidden_act: 'silu',
    rope_scaling: null,
    rope_theta: 1000000,
    max_window_layers: 28,
    sliding_window: null,
    use_sliding_window: false,
    tie_word_embeddings: true,
  },
  gemma2: {
    ...sizes,
    architectures: ['Gemma2ForCausalLM'],
    model_type: 'gemma2',
    attention_bias: false,
    attn_logit_softcapping: 50.0,
    final_logit_softcapping: 30.0,
    cache_implementation: 'hybrid',
    head_dim: 32,
    hidden_act: 'gelu_pytorch_tanh',
    hidden_activation: 'gelu_pytorch_tanh',
    query_pre_attn_scalar: 64,
    rope_theta: 10000.0,
    sliding_window: 16,
    pad_token_id: 0,
  },
} satisfies Record<string, Config>;

const describeConfig = (config: Config) => describeModel(config, 'm/config.json');

describe('the configurations of published checkpoints are read', () => {
  it.each(Object.entries(published))('%s', (_name, config) => {
    const { config: read, weights } = describeConfig(config);
    expect(read.architecture).toBe(config.architectures[0]);
    expect(weights.filter(({ loraTarget }) => loraTarget === 'q_proj')).toHaveLength(4);
  });

  it('by model_type where no architecture is named', () => {
    const { architectures, ...rest } = published.gemma2;
    expect(describeConfig(rest).config.architecture).toBe(architectures[0]);
  });

  it('with the defaults of transformers where Gemma 2 says nothing', () => {
    const { head_dim, final_logit_softcapping, ...rest } = published.gemma2;
    const { config } = describeConfig(rest);
    expect([config.headDim, config.logitSoftcap, config.tiedHead]).toEqual([256, 30, true]);
    expect(head_dim).not.toBe(config.headDim);
    expect(final_logit_softcapping).toBe(config.logitSoftcap);
  });

  it('without a cap where Gemma 2 has null for it', () => {
    expect(describeConfig({ ...published.gemma2, final_logit_softcapping: null }).config.logitSoftcap).toBe(
      undefined,
    );
  });
});

describe('refused by name', () => {
  it.each<[keyof typeof published, Config, string]>([
    ['llama', { attention_bias: true }, 'attention_bias: true is not supported, only false'],
    ['llama', { rope_scaling: { rope_type: 'yarn', factor: 4 } }, 'rope_scaling: the type "yarn"'],
    ['llama', { hidden_act: 'gelu' }, 'hidden_act: "gelu" is not supported, only "silu"'],
    ['llama', { logit_scale: 2 }, 'logit_scale: prefgrad does not know this field'],
    ['mistral', { sliding_window: -1 }, 'sliding_window: expected a positive whole number, found -1'],
    ['qwen2', { use_sliding_window: true }, 'use_sliding_window: true is not supported, only false'],
    ['qwen2', { use_mrope: true }, 'use_mrope: true is not supported'],
    [
      'qwen2',
      { layer_types: Array(4).fill('sliding_attention') },
      'layer_types: "sliding_attention" is not supported',
    ],
    ['qwen3', { attention_bias: true }, 'attention_bias: true is not supported, only false'],
    ['qwen3', { num_experts: 8 }, 'num_experts: prefgrad does not know this field'],
    ['gemma2', { hidden_activation: 'gelu' }, 'hidden_activation: "gelu" is not supported'],
    ['gemma2', { use_bidirectional_attention: true }, 'use_bidirectional_attention: true is not supported'],
    ['gemma2', { layer_types: ['full_attention'] }, 'for each of 4 layers, found ["full_attention"]'],
    [
      'gemma2',
      { attn_logit_softcapping: 'high' },
      'attn_logit_softcapping: expected a positive number, found "high"',
    ],
  ])('%s with %j', (family, fields, message) => {
    expect(() => describeConfig({ ...published[family], ...fields })).toThrow(message);
  });

  it('an architecture that is not there, with those that are', () => {
    const config = { ...published.llama, architectures: ['MambaForCausalLM'] };
    expect(() => describeConfig(config)).toThrow(
      'the architecture "MambaForCausalLM" is not supported; prefgrad runs LlamaForCausalLM, MistralForCausalLM, ' +
        'Qwen2ForCausalLM, Qwen3ForCausalLM and Gemma2ForCausalLM.',
    );
  });
});

describe('the weight table', () => {
  const weightOf = (family: keyof typeof published, name: string) =>
    describeConfig(published[family]).weights.find((weight) => weight.name === name);

  it('lets weight decay pull at matrices, but neither at norms nor at biases', () => {
    const { weights } = describeConfig(published.qwen2);
    const still = weights
      .filter(({ decays }) => !decays)
      .map(({ name }) => name.split('.').slice(-2).join('.'));
    expect([...new Set(still)].sort()).toEqual([
      'input_layernorm.weight',
      'k_proj.bias',
      'norm.weight',
      'post_attention_layernorm.weight',
      'q_proj.bias',
      'v_proj.bias',
    ]);
    expect(weights.every(({ decays, shape }) => decays === shape.length > 1)).toBe(true);
  });

  it('quantizes the projections of layers, and nothing else', () => {
    const { weights } = describeConfig(published.gemma2);
    const quantized = weights.filter(({ quantizable }) => quantizable);
    expect(quantized).toHaveLength(4 * 7);
    expect(quantized.every(({ loraTarget }) => loraTarget !== undefined)).toBe(true);
  });

  it('has the vectors that a family has besides', () => {
    expect(weightOf('qwen2', 'model.layers.3.self_attn.k_proj.bias')?.shape).toEqual([32]);
    expect(weightOf('qwen3', 'model.layers.3.self_attn.q_norm.weight')?.shape).toEqual([32]);
    expect(weightOf('gemma2', 'model.layers.3.post_feedforward_layernorm.weight')?.shape).toEqual([64]);
    expect(weightOf('gemma2', 'lm_head.weight')).toBeUndefined();
    expect(weightOf('mistral', 'lm_head.weight')?.shape).toEqual([1000, 64]);
  });
});
