/**
 * rms_norm: y = x / sqrt(mean(x²) + eps) · w (+ residual), for every stretch of H elements of x: its rows [T, H], or the
 * heads of its rows. w [H] in f32; with `unitOffset` (Gemma) it is 1 + w.
 */
import type { Op } from '../../autograd/op.ts';
import { elementCount, type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Launch } from '../../gpu/launch.ts';
import { gridFor, heldRowLaunch, workgroupSize } from '../launch.ts';
import { launchColumnSum } from '../reduction/column-sum.ts';
import { deferNorm, defersNorms } from './deferred-norm.ts';

export interface RmsNormAttributes {
  readonly eps: number;
  readonly unitOffset?: boolean;
  /** Makes y in f16 as `half_input` does, for products that stage it so anyway (`stagesInputs`). H is a multiple of 4 then. */
  readonly half?: boolean;
}

/** Runs of rows whose weight gradients are summed apart; fixed, so that sums have one order. */
const SPLITS = 32;

/** Inputs: x, w, and optionally a residual of x's shape. */
export const rmsNorm: Op<RmsNormAttributes> = {
  name: 'rms_norm',

  launch(recorder, [x, w, residual], { eps, unitOffset = false, half = false }) {
    const { rows, width } = sizesOf(x, w);
    const y = temporary(recorder, 'rms_norm', x.shape, half ? 'f16' : 'f32');
    const r = temporary(recorder, 'rms_norm 1/rms', [rows]);
    const VEC4 = width % 4 === 0;
    const { conditions, ...rowwise } = heldRowLaunch(recorder, rows, VEC4 ? width / 4 : width);
    const launch: Launch = {
      kernel: 'rms_norm_forward',
      conditions: {
        ...conditions,
        VEC4,
        UNIT_OFFSET: unitOffset,
        RESIDUAL: residual !== undefined,
        HALF: half,
      },
      ...rowwise,
      overrides: { EPS: eps },
      bindings: {
        x: whole(x),
        w: whole(w),
        y: whole(y),
        r: whole(r),
        residual: residual && whole(residual),
      },
    };
    const isDeferred = residual === undefined && x.shape[1] === width && defersNorms(recorder);
    if (isDeferred) deferNorm(recorder, whole(y), { x: whole(x), w: whole(w), eps, unitOffset }, launch);
    else recorder.launch(launch);
    return { outputs: [y], saved: [r] };
  },

  // n = x r:   dx = r (dy w - n mean(dy w n)),   dw = sum_t dy n
  gradient({
    recorder,
    inputs: [x, w, residual],
    saved: [r],
    outputGradients: [dy],
    attributes: { unitOffset = false },
    needs,
    target,
    pass,
  }) {
    if (dy === undefined) return;
    const { rows, width } = sizesOf(x, w);
    const constants = { WORKGROUP: workgroupSize(recorder) };
    if (needs(0)) {
      const { tensor, accumulate } = target(0);
      const VEC4 = width % 4 === 0;
      const { conditions, ...rowwise } = heldRowLaunch(recorder, rows, VEC4 ? width / 4 : width);
      recorder.launch({
        kernel: 'rms_norm_backward_input',
        conditions: { ...conditions, VEC4, UNIT_OFFSET: unitOffset, ACCUMULATE: accumulate },
        ...rowwise,
        bindings: { x: whole(x), w: whole(w), r: whole(r), dy: whole(dy), dx: whole(tensor) },
      });
    }
    if (needs(1)) {
      const { tensor, accumulate } = target(1);
      const partial = temporary(recorder, 'd rms_norm weight, in parts', [SPLITS, width]);
      recorder.launch({
        kernel: 'rms_norm_backward_weight',
        constants,
        overrides: { H: width, SPLITS },
        bindings: { x: whole(x), r: whole(r), dy: whole(dy), partial: whole(partial) },
        grid: gridFor(recorder, SPLITS * width),
      });
      launchColumnSum(recorder, whole(partial), whole(tensor), { width, splits: 1, accumulate });
    }
    if (residual !== undefined && needs(2)) pass(2, dy);
  },

  reference([x, w, residual], { eps, unitOffset = false }) {
    const width = w.data.length;
    const rows = x.data.length / width;
    const data = new Float64Array(rows * width);
    for (let t = 0; t < rows; t++) {
      const row = x.data.subarray(t * width, (t + 1) * width);
      const scale = 1 / Math.sqrt(row.reduce((sum, v) => sum + v * v, 0) / width + eps);
      for (let h = 0; h < width; h++) {
        const weight = unitOffset ? 1 + w.data[h] : w.data[h];
        data[t * width + h] = row[h] * scale * weight + (residual?.data[t * width + h] ?? 0);
      }
    }
    return [{ shape: x.shape, data }];
  },
};

function sizesOf(x: Tensor, w: Tensor): { readonly rows: number; readonly width: number } {
  const [width] = w.shape;
  return { rows: elementCount(x.shape) / width, width };
}
