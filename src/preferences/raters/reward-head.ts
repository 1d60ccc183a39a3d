/**
 * From hidden states to a reward. Heads are small, so they are computed in f64 on the host.
 *
 * Linear (`...ForSequenceClassification`, transformers' modeling_layers.py): score = w h_last, one label.
 * Gated (ArmoRM, RLHFlow/ArmoRM-Llama3-8B-v0.1, its modeling file): rewards r = W h_last of every objective, gates
 * g = scale softmax(MLP(h_gate) / temperature), score = sum_k g_k (r M)_k with M the transform against verbosity. h_gate is
 * the state at the first token of the last '<|eot_id|><|start_header_id|>assistant<|end_header_id|>' and blank line: the
 * prompt's end.
 */
import { InputError } from '../../errors.ts';
import { decodeFloats, type FloatDType } from '../../formats/half.ts';
import type { ModelDirectory } from '../../formats/model-directory.ts';

export interface RewardHead {
  /** Does it read the state at the prompt's end, besides the last one? */
  readonly isGated: boolean;
  /** @param gate state at the prompt's end, of gated heads */
  score(last: Float32Array, gate: Float32Array): number;
}

/** A matrix [rows, columns], row-major. */
interface Matrix {
  readonly values: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** @throws InputError for a checkpoint without a head that is known here */
export async function readRewardHead(directory: ModelDirectory): Promise<RewardHead> {
  if (directory.tensors.has('score.weight')) return linearHead(await matrix(directory, 'score.weight'));
  if (directory.tensors.has('regression_layer.weight')) return gatedHead(directory);
  throw new InputError(
    `${directory.path}: has no head of a reward model (score.weight, or regression_layer.weight with gating).`,
  );
}

function linearHead(weight: Matrix): RewardHead {
  if (weight.rows !== 1)
    throw new InputError(`score.weight has ${weight.rows} labels; a reward model has one.`);
  return { isGated: false, score: (last) => product(weight, last)[0] };
}

async function gatedHead(directory: ModelDirectory): Promise<RewardHead> {
  const regression = await matrix(directory, 'regression_layer.weight');
  const transform = await matrix(directory, 'reward_transform_matrix');
  const scale = (await matrix(directory, 'gating.logit_scale')).values[0];
  const layers: { weight: Matrix; bias: Float32Array | undefined }[] = [];
  for (let n = 0; directory.tensors.has(`gating.layers.${n}.weight`); n++) {
    const weight = await matrix(directory, `gating.layers.${n}.weight`);
    const name = `gating.layers.${n}.bias`;
    layers.push({
      weight,
      bias: directory.tensors.has(name) ? (await matrix(directory, name)).values : undefined,
    });
  }
  const { gating_temperature: temperature = 10 } = directory.config;
  if (typeof temperature !== 'number' || temperature <= 0) {
    throw new InputError(`${directory.path}/config.json: gating_temperature must be a positive number.`);
  }
  return {
    isGated: true,
    score(last, gate) {
      const rewards = product(regression, last);
      let x: Float64Array = Float64Array.from(gate);
      layers.forEach(({ weight, bias }, n) => {
        x = product(weight, x).map((value, i) => value + (bias?.[i] ?? 0));
        if (n < layers.length - 1) x = x.map((value) => Math.max(value, 0));
      });
      const gates = softmax(x.map((value) => value / temperature));
      // (r M)_k = sum_j r_j M_jk
      const { values, columns } = transform;
      const adjusted = gates.map((_, k) =>
        rewards.reduce((sum, r, j) => sum + r * values[j * columns + k], 0),
      );
      return scale * gates.reduce((sum, gateValue, k) => sum + gateValue * adjusted[k], 0);
    },
  };
}

async function matrix(directory: ModelDirectory, name: string): Promise<Matrix> {
  const entry = directory.tensors.get(name);
  if (entry === undefined) throw new InputError(`${directory.path}: the weight ${name} is missing.`);
  const values = decodeFloats(await directory.readTensor(name), entry.dtype as FloatDType);
  const [rows, columns = 1] = entry.shape;
  return { values, rows, columns };
}

/** W x. */
function product({ values, rows, columns }: Matrix, x: ArrayLike<number>): Float64Array {
  return Float64Array.from({ length: rows }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < columns; j++) sum += values[i * columns + j] * x[j];
    return sum;
  });
}

function softmax(x: Float64Array): Float64Array {
  const most = x.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const weights = x.map((value) => Math.exp(value - most));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / total);
}
