/**
 * linear: y = x wᵀ (+ residual), the product every layer is made of. x [T, K], w [N, K], y [T, N].
 *
 * The three products (forward, gradient of x, gradient of w) read w as it lies in the checkpoint. Shards of w are
 * ranges of output columns.
 */
import type { Op } from '../autograd/op.ts';
import { rowLength, type Shard, type Tensor, temporary, whole } from '../autograd/tensor.ts';
import type { Slice } from '../gpu/memory.ts';
import { gridOf, type Recorder } from '../gpu/program.ts';
import { bitsOf, constantsOnGpu } from './constants.ts';
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
  const { rows, weight, accumulate } = product;
  const inner = rowLength(weight.shape);
  const tile = {
    ...(inner % 4 === 0 ? { ROWS: 4, COLUMNS: 8 } : RAGGED),
    WORKGROUP: workgroupSize(recorder),
  };
  for (const shard of weight.shards) {
    const shape = { rows, columns: shard.rows };
    const epilogue = { RESIDUAL: residual !== undefined, ACCUMULATE: accumulate };
    const bindings = [x, shard, y, ...(residual === undefined ? [] : [residual])];
    if (sharesLanes(recorder, product, shard, shape)) {
      launchLanes(recorder, 'FORWARD', product, shard, shape, epilogue, bindings);
      continue;
    }
    recorder.dispatch({
      label: 'linear_forward',
      kernel: 'linear_forward',
      conditions: { ...layout(weight), ...epilogue },
      constants: tile,
      overrides: sizes(product, shard),
      bindings,
      grid: blocks(shape, tile.ROWS, tile.COLUMNS, tile.WORKGROUP),
    });
  }
}

/** dx (+)= scale · dy w. */
export function launchLinearBackwardInput(recorder: Recorder, dy: Slice, dx: Slice, product: Product): void {
  const { rows, weight } = product;
  const inner = rowLength(weight.shape);
  const tile = {
    ...(inner % 4 === 0 ? { ROWS: 4, COLUMNS4: 2 } : RAGGED4),
    WORKGROUP: workgroupSize(recorder),
  };
  weight.shards.forEach((shard, i) => {
    const shape = { rows, columns: inner };
    const epilogue = { ACCUMULATE: product.accumulate || i > 0 };
    if (sharesLanes(recorder, product, shard, shape)) {
      launchLanes(recorder, 'INPUT', product, shard, shape, epilogue, [dy, shard, dx]);
      return;
    }
    recorder.dispatch({
      label: 'linear_backward_input',
      kernel: 'linear_backward_input',
      conditions: { ...layout(weight), ...epilogue },
      constants: tile,
      overrides: sizes(product, shard),
      bindings: [dy, shard, dx],
      grid: blocks(shape, tile.ROWS, 4 * tile.COLUMNS4, tile.WORKGROUP),
    });
  });
}

/** dw (+)= scale · dyᵀ x; `product.weight` is dw. */
export function launchLinearBackwardWeight(recorder: Recorder, dy: Slice, x: Slice, product: Product): void {
  const { weight, accumulate } = product;
  const inner = rowLength(weight.shape);
  const tile = {
    ...(inner % 4 === 0 ? { ROWS: 4, COLUMNS4: 2 } : RAGGED4),
    WORKGROUP: workgroupSize(recorder),
  };
  for (const shard of weight.shards) {
    const shape = { rows: shard.rows, columns: inner };
    if (sharesLanes(recorder, product, shard, shape)) {
      launchLanes(recorder, 'WEIGHT', product, shard, shape, { ACCUMULATE: accumulate }, [dy, x, shard]);
      continue;
    }
    recorder.dispatch({
      label: 'linear_backward_weight',
      kernel: 'linear_backward_weight',
      conditions: { VEC4: inner % 4 === 0, ACCUMULATE: accumulate },
      constants: tile,
      overrides: sizes(product, shard),
      bindings: [dy, x, shard],
      grid: blocks(shape, tile.ROWS, 4 * tile.COLUMNS4, tile.WORKGROUP),
    });
  }
}

/** Rows and columns of what a dispatch makes. */
interface OutputShape {
  readonly rows: number;
  readonly columns: number;
}

/** Rows that the lanes of one subgroup make together: below them most lanes of linear_lanes would idle. */
const FEW_ROWS = 16;

/** Whether linear_lanes.wgsl takes this product: on CPU adapters with subgroups, in sizes that are whole vec4. */
function sharesLanes(recorder: Recorder, { weight }: Product, shard: Shard, { rows }: OutputShape): boolean {
  const whole4 = [weight.shape[0], rowLength(weight.shape), shard.rowStart, shard.rows].every(
    (n) => n % 4 === 0,
  );
  return recorder.gpu.sharesLanes && whole4 && rows >= FEW_ROWS;
}

/** Columns that a lane of linear_lanes makes. */
const LANE_COLUMNS = 32;

function launchLanes(
  recorder: Recorder,
  orientation: 'FORWARD' | 'INPUT' | 'WEIGHT',
  product: Product,
  shard: Shard,
  shape: OutputShape,
  epilogue: Record<string, boolean>,
  [own, shared, out, ...residual]: readonly Slice[],
): void {
  const { VEC4: _, ...weightLayout } = layout(product.weight);
  const workgroup = recorder.gpu.subgroupLanes;
  const { N, K, N_STRIDE, N_OFFSET, ALPHA } = sizes(product, shard);
  const onGpu = constantsOnGpu(recorder.gpu, Uint32Array.of(N, K, N_STRIDE, N_OFFSET, bitsOf(ALPHA)));
  recorder.dispatch({
    label: `linear_lanes ${orientation.toLowerCase()}`,
    kernel: 'linear_lanes',
    conditions: {
      FORWARD: false,
      INPUT: false,
      WEIGHT: false,
      [orientation]: true,
      ...weightLayout,
      RESIDUAL: false,
      ...epilogue,
    },
    constants: { WORKGROUP: workgroup },
    bindings: [own, shared, out, onGpu, ...residual],
    grid: gridOf(Math.ceil(shape.rows / (4 * workgroup)) * Math.ceil(shape.columns / LANE_COLUMNS)),
  });
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

function layout(weight: Tensor): Record<string, boolean> {
  return {
    VEC4: rowLength(weight.shape) % 4 === 0,
    W_HALF: weight.dtype === 'f16' || weight.dtype === 'bf16',
    W_BF16: weight.dtype === 'bf16',
  };
}

function sizes({ weight, scale }: Product, shard: Shard): Record<string, number> {
  return {
    N: shard.rows,
    K: rowLength(weight.shape),
    N_STRIDE: weight.shape[0],
    N_OFFSET: shard.rowStart,
    ALPHA: scale,
  };
}

function blocks(
  { rows, columns }: OutputShape,
  rowTile: number,
  columnTile: number,
  workgroup: number,
): readonly [number, number] {
  return gridOf(Math.ceil((Math.ceil(rows / rowTile) * Math.ceil(columns / columnTile)) / workgroup));
}
