/**
 * What attention needs of the few rows of a decoding step, in one dispatch where adapters share loads: a dispatch costs a CPU
 * adapter more than the products of a small model.
 *
 *   q = rope(x Wqᵀ),   keys[cacheRows[r]] = rope(x_r Wkᵀ),   values[cacheRows[r]] = x_r Wvᵀ
 */
import { type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import { gridOf, type Recorder } from '../../gpu/program.ts';
import { constantsOnGpu } from '../constants.ts';
import type { RotaryAttributes } from '../elementwise/rotary.ts';
import { sharesRows } from '../launch.ts';
import { normInto, normVariant } from '../norm/deferred-norm.ts';
import type { LayerCache } from './paged-attention.ts';

/** Weights of the three products: q [heads * headDim, K], k and v [kvHeads * headDim, K]. */
export interface AttentionWeights {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
}

/** Storage buffers that the kernel binds. */
const BINDINGS = 12;

/** Rows, and columns of an invocation. */
const TILE = { rows: 8, columns: 4 } as const;

/**
 * @param x [R, K]
 * @param cacheRows u32 [R]: rows of the cache that keys and values are written to
 * @returns q [R, heads * headDim], or undefined where nothing was recorded: the kernel is not for this adapter or these weights
 */
export function recordAttentionInputs(
  recorder: Recorder,
  x: Tensor,
  weights: AttentionWeights,
  { positions, table, headDim }: Omit<RotaryAttributes, 'frequencies'>,
  cacheRows: Tensor,
  { keys, values }: LayerCache,
): Tensor | undefined {
  if (!isForKernel(recorder, weights, headDim)) return undefined;
  const { gpu } = recorder;
  const [rows, inner] = x.shape;
  const [own, shared] = [weights.q.shape[0], weights.k.shape[0]];
  const q = temporary(recorder, 'rotary', [rows, own]);
  const WORKGROUP = gpu.profile.subgroupSize;
  const blocks = (columns: number) => Math.ceil(columns / (TILE.columns * WORKGROUP));
  const norm = normInto(whole(x), inner * (own + 2 * shared));
  const normed = normVariant(norm);
  recorder.launch({
    kernel: 'attention_inputs_subgroup',
    conditions: {
      ...normed.conditions,
      W_HALF: weights.q.dtype !== 'f32',
      W_BF16: weights.q.dtype === 'bf16',
    },
    overrides: normed.overrides,
    constants: { WORKGROUP },
    bindings: {
      x: norm?.x ?? whole(x),
      norm_w: norm?.w,
      wq: whole(weights.q),
      wk: whole(weights.k),
      wv: whole(weights.v),
      sizes: constantsOnGpu(gpu, Uint32Array.of(inner, own, shared, headDim / 2)),
      positions: whole(positions),
      places: whole(cacheRows),
      table: whole(table),
      q: whole(q),
      keys: whole(keys),
      values: whole(values),
    },
    flops: 2 * rows * inner * (own + 2 * shared),
    grid: gridOf(Math.ceil(rows / TILE.rows) * (blocks(own) + 2 * blocks(shared))),
  });
  return q;
}

function isForKernel(recorder: Recorder, { q, k, v }: AttentionWeights, headDim: number): boolean {
  const { hasFewRows, gpu } = recorder;
  const hasBindings = gpu.device.limits.maxStorageBuffersPerShaderStage >= BINDINGS;
  return (
    hasFewRows &&
    sharesRows(recorder) &&
    hasBindings &&
    headDim % 4 === 0 &&
    ['f32', 'f16', 'bf16'].includes(q.dtype) &&
    [q, k, v].every(({ dtype, shards, shape }) => {
      return dtype === q.dtype && shards.length === 1 && shape[1] % 4 === 0;
    })
  );
}
