/** The fields of config.json that every family has. */
import type { ModelConfig } from './causal-lm.ts';
import type { ConfigReader } from './config-reader.ts';

/** What a family says where config.json says nothing. */
export interface DecoderDefaults {
  readonly architecture: string;
  readonly tiedHead: boolean;
  /** Default: hidden size / heads. */
  readonly headDim?: number;
}

/** The deepest published models have a few hundred. */
const MOST_LAYERS = 10_000;

export function readDecoderConfig(reader: ConfigReader, defaults: DecoderDefaults): ModelConfig {
  const heads = reader.whole('num_attention_heads');
  const hiddenSize = reader.whole('hidden_size');
  const rope = reader.rope();
  const config: ModelConfig = {
    architecture: defaults.architecture,
    vocabSize: reader.whole('vocab_size'),
    hiddenSize,
    intermediateSize: reader.whole('intermediate_size'),
    layers: reader.countUpTo('num_hidden_layers', MOST_LAYERS),
    heads,
    kvHeads: reader.whole('num_key_value_heads', heads),
    headDim: reader.optionalWhole('head_dim') ?? defaults.headDim ?? hiddenSize / heads,
    maxPositions: reader.whole('max_position_embeddings'),
    rmsNormEps: reader.real('rms_norm_eps', 1e-6),
    ropeTheta: rope.theta,
    ropeScaling: rope.scaling,
    logitSoftcap: undefined,
    tiedHead: reader.boolean('tie_word_embeddings', defaults.tiedHead),
  };
  if (config.heads % config.kvHeads !== 0) {
    reader.problem(
      'num_key_value_heads',
      `${config.kvHeads} does not divide the ${config.heads} attention heads`,
    );
  }
  if (config.headDim % 4 !== 0 || config.headDim < 8 || config.headDim > 256)
    reader.problem('head_dim', `${config.headDim} is not supported, only multiples of 4 from 8 to 256`);
  reader.only('attention_dropout', 0, null);
  reader.only('quantization_config', null);
  return config;
}

/** Qwen's windows, which its checkpoints have switched off: the other fields then say nothing. */
export function refuseWindows(reader: ConfigReader, layers: number): void {
  reader.only('use_sliding_window', false);
  reader.raw('sliding_window');
  reader.raw('max_window_layers');
  if (reader.slidingLayers(layers)?.includes(true))
    reader.problem('layer_types', '"sliding_attention" is not supported for this architecture');
}
