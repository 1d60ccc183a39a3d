/**
 * Reads a Hugging Face `config.json` of the Llama family. A field that would change the mathematics and that we do not
 * implement is refused by name; a field we have never heard of is refused too, since it might be one.
 */
import { InputError, InputErrors } from '../errors.ts';
import type { RopeScaling } from '../nn/rotary-table.ts';

export interface LlamaConfig {
  readonly architecture: 'LlamaForCausalLM' | 'MistralForCausalLM';
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
  /** Mistral: a token sees this many positions back, itself included. */
  readonly slidingWindow: number | undefined;
  readonly tiedHead: boolean;
}

/** Fields that say nothing about the forward pass. */
const HARMLESS = new Set([
  '_name_or_path',
  'architectures',
  'bos_token_id',
  'dtype',
  'eos_token_id',
  'id2label',
  'initializer_range',
  'label2id',
  'model_type',
  'pad_token_id',
  'torch_dtype',
  'transformers_version',
  'unsloth_fixed',
  'unsloth_version',
  'use_cache',
]);

/** Fields that are fine at one value only. */
const FIXED: Readonly<Record<string, readonly unknown[]>> = {
  hidden_act: ['silu'],
  attention_bias: [false],
  mlp_bias: [false],
  attention_dropout: [0, null],
  pretraining_tp: [1],
  quantization_config: [null],
};

const USED = new Set([
  'vocab_size',
  'hidden_size',
  'intermediate_size',
  'num_hidden_layers',
  'num_attention_heads',
  'num_key_value_heads',
  'head_dim',
  'max_position_embeddings',
  'rms_norm_eps',
  'rope_theta',
  'rope_scaling',
  'rope_parameters',
  'sliding_window',
  'tie_word_embeddings',
]);

/**
 * @param raw the parsed config.json.
 * @param file its path, for messages.
 * @throws InputError naming the architecture or every field that is not supported.
 */
export function parseLlamaConfig(raw: Readonly<Record<string, unknown>>, file: string): LlamaConfig {
  const architecture = architectureOf(raw, file);
  const problems: string[] = [];
  for (const [field, value] of Object.entries(raw)) {
    const allowed = FIXED[field];
    if (allowed !== undefined && !allowed.includes(value)) {
      problems.push(
        `${field}: ${JSON.stringify(value)} is not supported, only ${allowed.map((v) => JSON.stringify(v)).join(' or ')}`,
      );
    } else if (allowed === undefined && !HARMLESS.has(field) && !USED.has(field)) {
      problems.push(`${field}: prefgrad does not know this field and will not guess what it changes`);
    }
  }
  const whole = (field: string, fallback?: number): number => {
    const value = raw[field] ?? fallback;
    if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
    problems.push(`${field}: expected a positive whole number, found ${JSON.stringify(raw[field])}`);
    return 1;
  };
  const real = (field: string, value: unknown): number => {
    if (typeof value === 'number' && value > 0) return value;
    problems.push(`${field}: expected a positive number, found ${JSON.stringify(value)}`);
    return 1;
  };
  const heads = whole('num_attention_heads');
  const hiddenSize = whole('hidden_size');
  const rope = record(raw.rope_parameters);
  const config: LlamaConfig = {
    architecture,
    vocabSize: whole('vocab_size'),
    hiddenSize,
    intermediateSize: whole('intermediate_size'),
    layers: whole('num_hidden_layers'),
    heads,
    kvHeads: whole('num_key_value_heads', heads),
    headDim: raw.head_dim == null ? hiddenSize / heads : whole('head_dim'),
    maxPositions: whole('max_position_embeddings'),
    rmsNormEps: real('rms_norm_eps', raw.rms_norm_eps ?? 1e-6),
    ropeTheta: real('rope_theta', raw.rope_theta ?? rope?.rope_theta ?? 10000),
    ropeScaling: ropeScaling(record(raw.rope_scaling) ?? rope, problems),
    slidingWindow: raw.sliding_window == null ? undefined : whole('sliding_window'),
    tiedHead: raw.tie_word_embeddings === true,
  };
  if (config.heads % config.kvHeads !== 0) {
    problems.push(
      `num_key_value_heads: ${config.kvHeads} does not divide the ${config.heads} attention heads`,
    );
  }
  if (config.headDim % 4 !== 0 || config.headDim < 8 || config.headDim > 256) {
    problems.push(`head_dim: ${config.headDim} is not supported, only multiples of 4 from 8 to 256`);
  }
  if (problems.length > 0)
    throw new InputErrors(`${file} describes a model that prefgrad cannot run:`, problems);
  return config;
}

function architectureOf(raw: Readonly<Record<string, unknown>>, file: string): LlamaConfig['architecture'] {
  const names: unknown[] = Array.isArray(raw.architectures) ? raw.architectures : [];
  const name = names[0] ?? (raw.model_type === 'llama' ? 'LlamaForCausalLM' : raw.model_type);
  if (name === 'LlamaForCausalLM' || name === 'MistralForCausalLM') return name;
  throw new InputError(
    `${file}: the architecture ${JSON.stringify(name)} is not supported; prefgrad runs LlamaForCausalLM and MistralForCausalLM.`,
  );
}

function ropeScaling(
  raw: Readonly<Record<string, unknown>> | undefined,
  problems: string[],
): RopeScaling | undefined {
  if (raw === undefined) return undefined;
  const type = raw.rope_type ?? raw.type ?? 'default';
  if (type === 'default') return undefined;
  if (type !== 'llama3') {
    problems.push(`rope_scaling: the type ${JSON.stringify(type)} is not supported, only "llama3"`);
    return undefined;
  }
  const number = (field: string): number => {
    const value = raw[field];
    if (typeof value === 'number' && value > 0) return value;
    problems.push(`rope_scaling.${field}: expected a positive number, found ${JSON.stringify(value)}`);
    return 1;
  };
  return {
    factor: number('factor'),
    lowFrequencyFactor: number('low_freq_factor'),
    highFrequencyFactor: number('high_freq_factor'),
    originalMaxPositions: number('original_max_position_embeddings'),
  };
}

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}
