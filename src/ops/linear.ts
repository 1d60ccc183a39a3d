/**
 * linear: y = x wᵀ (+ residual), the product every layer is made of. x [T, K], w [N, K], y [T, N].
 *
 * The three products (forward, gradient of x, gradient of w) read w as it lies in the checkpoint. Shards of w are
 * ranges of output columns.
 */
import type { Op } from '../autograd/op.ts';
import { rowLength, type Tensor, temporary, whole } from '../autograd/tensor.ts';
import type { Slice } from '../gpu/memory.ts';
import { gridOf, type Recorder } from '../gpu/program.ts';
import { workgroupSize } from './launch.ts';

export interface LinearAttributes {
  /** Factor on the product (not on the residual): LoRA's alpha / r. Default 1. */
  readonly scale?: number;
}

interface Product {
  readonly rows: number;
  readonly weight: Tensor;
  readonly scale: number;
  readonly accumulate: boolean;
}

/**
 * Tiles where K is no multiple of 4: every element has its own bounds check there, and unrolled large tiles of them take a
 * CPU adapter seconds to compile.
 */
const RAGGED = { ROWS: 2, COLUMNS: 2 };
const RAGGED4 = { ROWS: 2, COLUMNS4: 1 };

/**
 * y (+)= scale · x wᵀ (+ residual), one dispatch per shard of w. `y` may be a slice of scratch memory; kernels take the
 * number of rows from the length of their bindings, so slices must be exact.
 */
export function launchLinear(
  recorder: Recorder,
  x: Slice,
  y: Slice,
  product: Product,
  residual?: Slice,
): void {
  const { rows, weight, scale, accumulate } = product;
  const [columns, inner] = [weight.shape[0], rowLength(weight.shape)];
  const tile = {
    ...(inner % 4 === 0 ? { ROWS: 4, COLUMNS: 8 } : RAGGED),
    WORKGROUP: workgroupSize(recorder),
  };
  for (const shard of weight.shards) {
    recorder.dispatch({
      label: 'linear_forward',
      kernel: 'linear_forward',
      conditions: { ...layout(weight, inner), RESIDUAL: residual !== undefined, ACCUMULATE: accumulate },
      constants: tile,
      overrides: { N: shard.rows, K: inner, N_STRIDE: columns, N_OFFSET: shard.rowStart, ALPHA: scale },
      bindings: [x, shard, y, ...(residual === undefined ? [] : [residual])],
      grid: blocks(rows, tile.ROWS, shard.rows, tile.COLUMNS, tile.WORKGROUP),
    });
  }
}

/** dx (+)= scale · dy w. */
export function launchLinearBackwardInput(recorder: Recorder, dy: Slice, dx: Slice, product: Product): void {
  const { rows, weight, scale } = product;
  const [columns, inner] = [weight.shape[0], rowLength(weight.shape)];
  const tile = {
    ...(inner % 4 === 0 ? { ROWS: 4, COLUMNS4: 2 } : RAGGED4),
    WORKGROUP: workgroupSize(recorder),
  };
  weight.shards.forEach((shard, i) => {
    recorder.dispatch({
      label: 'linear_backward_input',
      kernel: 'linear_backward_input',
      conditions: { ...layout(weight, inner), ACCUMULATE: product.accumulate || i > 0 },
      constants: tile,
      overrides: { N: shard.rows, K: inner, N_STRIDE: columns, N_OFFSET: shard.rowStart, ALPHA: scale },
      bindings: [dy, shard, dx],
      grid: blocks(rows, tile.ROWS, inner, 4 * tile.COLUMNS4, tile.WORKGROUP),
    });
  });
}

/** dw (+)= scale · dyᵀ x; `product.weight` is dw. */
export function launchLinearBackwardWeight(recorder: Recorder, dy: Slice, x: Slice, product: Product): void {
  const { weight, scale, accumulate } = product;
  const [columns, inner] = [weight.shape[0], rowLength(weight.shape)];
  const tile = {
    ...(inner % 4 === 0 ? { ROWS: 4, COLUMNS4: 2 } : RAGGED4),
    WORKGROUP: workgroupSize(recorder),
  };
  for (const shard of weight.shards) {
    recorder.dispatch({
      label: 'linear_backward_weight',
      kernel: 'linear_backward_weight',
      conditions: { VEC4: inner % 4 === 0, ACCUMULATE: accumulate },
      constants: tile,
      overrides: { N: shard.rows, K: inner, N_STRIDE: columns, N_OFFSET: shard.rowStart, ALPHA: scale },
      bindings: [dy, x, shard],
      grid: blocks(shard.rows, tile.ROWS, inner, 4 * tile.COLUMNS4, tile.WORKGROUP),
    });
  }
}

/** Inputs: x [T, K], w [N, K], and optionally residual [T, N]. */
export const linear: Op<LinearAttributes> = {
  name: 'linear',

  launch(recorder, [x, w, residual], { scale = 1 }) {
    const rows = x.shape[0];
    const y = temporary(recorder, 'linear', [rows, w.shape[0]]);
    const product = { rows, weight: w, scale, accumulate: false };
    launchLinear(recorder, whole(x), whole(y), product, residual && whole(residual));
    return { outputs: [y] };
  },

  // y = s x wᵀ + r:   dx = s dy w,   dw = s dyᵀ x,   dr = dy
  gradient({
    recorder,
    inputs: [x, , residual],
    inputs,
    outputGradients: [dy],
    attributes: { scale = 1 },
    needs,
    target,
    pass,
  }) {
    if (dy === undefined) return;
    const rows = x.shape[0];
    if (needs(0)) {
      const { tensor, accumulate } = target(0);
      launchLinearBackwardInput(recorder, whole(dy), whole(tensor), {
        rows,
        weight: inputs[1],
        scale,
        accumulate,
      });
    }
    if (needs(1)) {
      const { tensor, accumulate } = target(1);
      launchLinearBackwardWeight(recorder, whole(dy), whole(x), { rows, weight: tensor, scale, accumulate });
    }
    if (residual !== undefined && needs(2)) pass(2, dy);
  },

  reference([x, w, residual], { scale = 1 }) {
    const [rows, inner] = x.shape;
    const columns = w.shape[0];
    const data = new Float64Array(rows * columns);
    for (let t = 0; t < rows; t++) {
      for (let n = 0; n < columns; n++) {
        let sum = 0;
        for (let k = 0; k < inner; k++) sum += x.data[t * inner + k] * w.data[n * inner + k];
        data[t * columns + n] = scale * sum + (residual?.data[t * columns + n] ?? 0);
      }
    }
    return [{ shape: [rows, columns], data }];
  },
};

function layout(weight: Tensor, inner: number): Record<string, boolean> {
  return {
    VEC4: inner % 4 === 0,
    W_HALF: weight.dtype === 'f16' || weight.dtype === 'bf16',
    W_BF16: weight.dtype === 'bf16',
  };
}

function blocks(
  rows: number,
  rowTile: number,
  columns: number,
  columnTile: number,
  workgroup: number,
): readonly [number, number] {
  return gridOf(Math.ceil((Math.ceil(rows / rowTile) * Math.ceil(columns / columnTile)) / workgroup));
}
