/**
 * A model from scratch: weights from a seed in place of files, as transformers starts a model of this config.json.
 *
 *   matrices ~ normal(0, initializer_range), 0.02 unless config.json says otherwise;   norms: identity;   biases: 0
 *   the embedding of pad_token_id: 0
 */
import { normalAt } from '../../data/random.ts';
import { InputError } from '../../errors.ts';
import { readJson } from '../../formats/json-file.ts';
import type { ModelDirectory } from '../../formats/model-directory.ts';
import type { FileSystem } from '../../runtime/runtime.ts';
import type { WeightSpec } from '../causal-lm.ts';
import { describeModel } from '../registry.ts';
import { EMBEDDING } from '../weight-table.ts';

/** Where weights are read from. */
export type WeightSource = Pick<ModelDirectory, 'path' | 'config' | 'tensors' | 'readRange' | 'close'>;

const DEFAULT_RANGE = 0.02;

/**
 * Weights of the model that `path`/config.json describes. Each depends on the seed and its place only, so that any piece
 * can be made on its own.
 * @throws InputError for a config.json that is missing or unsound
 */
export async function randomWeights(files: FileSystem, path: string, seed: number): Promise<WeightSource> {
  const file = `${path}/config.json`;
  const config = await readJson(files, file);
  const { weights } = describeModel(config, file);
  const deviation = config.initializer_range ?? DEFAULT_RANGE;
  if (typeof deviation !== 'number' || !(deviation > 0))
    throw new InputError(
      `${file}: initializer_range must be a number greater than 0, found ${JSON.stringify(deviation)}.`,
    );
  const streams = new Map(weights.map((spec, i) => [spec.name, { spec, stream: i + 1 }]));
  return {
    path,
    config,
    tensors: new Map(weights.map(({ name, shape }) => [name, { name, shape, dtype: 'F32' }])),
    async readRange(name, offset, length) {
      const known = streams.get(name);
      if (known === undefined) throw new RangeError(`This model has no weight ${name}.`);
      const { spec, stream } = known;
      const padding = name === EMBEDDING ? config.pad_token_id : undefined;
      const first = offset / 4;
      const values = Float32Array.from({ length: length / 4 }, (_, i) =>
        valueAt(spec, first + i, padding, () => deviation * normalAt(seed, stream, first + i)),
      );
      return new Uint8Array(values.buffer);
    },
    async close() {},
  };
}

function valueAt({ initial, shape }: WeightSpec, at: number, padding: unknown, draw: () => number): number {
  if (initial !== 'normal') return initial === 'ones' ? 1 : 0;
  return Math.floor(at / (shape[1] ?? 1)) === padding ? 0 : draw();
}
