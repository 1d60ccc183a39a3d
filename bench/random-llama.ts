/** Model directories with seeded random weights, of any size: Llama's, or another family's by its fields of config.json. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { describeModel, encodeFloats, normalAt, writeSafetensors } from '../src/engine.ts';
import { detectRuntime } from '../src/index.ts';

export interface LlamaSize {
  readonly vocabulary: number;
  readonly hidden: number;
  readonly inner: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
}

/** Values after which large weights repeat themselves: drawing a billion would take longer than using them. */
const PERIOD = 1_048_573;

/** Writes config.json and model.safetensors to a new directory. @returns the number of parameters */
export async function writeRandomLlama(
  path: string,
  size: LlamaSize,
  dtype: 'F32' | 'BF16' = 'F32',
  fields: Readonly<Record<string, unknown>> = {},
): Promise<number> {
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: size.vocabulary,
    hidden_size: size.hidden,
    intermediate_size: size.inner,
    num_hidden_layers: size.layers,
    num_attention_heads: size.heads,
    num_key_value_heads: size.kvHeads,
    max_position_embeddings: 4096,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: 'silu',
    tie_word_embeddings: false,
    torch_dtype: dtype === 'F32' ? 'float32' : 'bfloat16',
    ...fields,
  };
  mkdirSync(path, { recursive: true });
  writeFileSync(`${path}/config.json`, JSON.stringify(config));
  const sink = await (await detectRuntime()).files.create(`${path}/model.safetensors`);
  const { weights } = describeModel(config, 'config.json');
  await writeSafetensors(
    sink,
    weights.map(({ name, shape }, seed) => ({
      name,
      dtype,
      shape,
      *read() {
        const count = shape.reduce((a, b) => a * b, 1);
        const isNorm = shape.length === 1;
        const drawn = Float64Array.from({ length: Math.min(count, PERIOD) }, (_, i) => normalAt(seed, 0, i));
        const bytes = encodeFloats(
          Float32Array.from(drawn, (x) => (isNorm ? 1 : 0.05 * x)),
          dtype,
        );
        const size = bytes.length / drawn.length;
        for (let left = count; left > 0; left -= drawn.length)
          yield bytes.subarray(0, size * Math.min(left, drawn.length));
      },
    })),
  );
  await sink.close();
  return weights.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}
