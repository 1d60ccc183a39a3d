/**
 * The direction in which a row's hidden state moves its token's log-prob, made while the logits are there anyway:
 *
 *   d log p(y_r) / d h_r = W[y_r] - E_p[W]   (times the slope of a cap on the logits)
 *
 * A loss sees the logits through log p(y_r) alone, so its gradient is this direction times dL/dlogp_r. Where the head is
 * frozen, that makes 4 products of [rows, vocabulary, hidden] FLOPs out of 6: the backward pass needs no logits.
 * Beside the running maximum and sum of the softmax, sum_v exp(z_v - m) W_v runs along, chunk by chunk.
 */
import { rowLength, rowRange, type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Slice } from '../../gpu/memory.ts';
import type { Recorder } from '../../gpu/program.ts';
import { gridFor, workgroupSize } from '../launch.ts';
import { launchLinearBackwardInput } from '../linear/linear.ts';
import { type LogitChunk, rowsOf } from './logit-chunks.ts';

export interface DirectionSettings {
  /** [rows, hidden]; rows of the head. */
  readonly hidden: Tensor;
  readonly head: Tensor;
  readonly softcap: number | undefined;
  /** [rows, stateStride] vec4s: of each row, the running maximum first and the one before it last. */
  readonly state: Tensor;
  readonly stateStride: number;
}

/** Whether the direction is wanted, and can be made: hidden states are trained through, the head is frozen. */
export function wantsDirection(hidden: Tensor, head: Tensor): boolean {
  return hidden.requiresGrad && !head.requiresGrad && rowLength(head.shape) % 4 === 0;
}

export class LogpDirection {
  /** [rows, hidden] once `finish` is recorded. */
  readonly tensor: Tensor;
  readonly #recorder: Recorder;
  readonly #settings: DirectionSettings;

  constructor(recorder: Recorder, settings: DirectionSettings) {
    const { hidden } = settings;
    this.#recorder = recorder;
    this.#settings = settings;
    this.tensor = temporary(recorder, 'd logp / d hidden', hidden.shape);
  }

  /** Takes in a chunk: `weights` holds exp(z - m) times the slope of the cap, with the maximum that the state has now. */
  add(chunk: LogitChunk, weights: Slice): void {
    const { head, state, stateStride } = this.#settings;
    const recorder = this.#recorder;
    const constants = { WORKGROUP: workgroupSize(recorder) };
    const H4 = rowLength(head.shape) / 4;
    const sum = rowsOf(this.tensor, chunk);
    if (!chunk.first)
      recorder.launch({
        kernel: 'token_logps_direction_rescale',
        constants,
        overrides: { H4, STRIDE: stateStride },
        bindings: { sum, state: rowsOf(state, chunk) },
        grid: gridFor(recorder, chunk.rows * H4),
      });
    launchLinearBackwardInput(recorder, weights, sum, {
      rows: chunk.rows,
      weight: rowRange(head, chunk.start, chunk.columns),
      scale: 1,
      accumulate: !chunk.first,
    });
  }

  /** Once the log-probs are known: the sums become directions. */
  finish(targets: Tensor, lse: Tensor, logps: Tensor): void {
    const { head, softcap, state, stateStride } = this.#settings;
    const recorder = this.#recorder;
    const H4 = rowLength(head.shape) / 4;
    for (const shard of head.shards)
      recorder.launch({
        kernel: 'token_logps_direction',
        conditions: {
          SOFTCAP: softcap !== undefined,
          W_HALF: head.dtype !== 'f32',
          W_BF16: head.dtype === 'bf16',
        },
        constants: { WORKGROUP: workgroupSize(recorder) },
        overrides: {
          H4,
          STRIDE: stateStride,
          FIRST_ROW: shard.rowStart,
          ...(softcap === undefined ? {} : { CAP: softcap }),
        },
        bindings: {
          direction: whole(this.tensor),
          state: whole(state),
          lse: whole(lse),
          logps: whole(logps),
          targets: whole(targets),
          head: shard,
        },
        grid: gridFor(recorder, this.tensor.shape[0] * H4),
      });
  }
}

/** dh[r] (+)= dlogp[r] * direction[r]. */
export function launchAlongDirection(
  recorder: Recorder,
  direction: Tensor,
  dlogps: Tensor,
  target: { readonly tensor: Tensor; readonly accumulate: boolean },
): void {
  const H4 = rowLength(direction.shape) / 4;
  recorder.launch({
    label: 'token_logps_backward',
    kernel: 'rows_scale',
    conditions: { ACCUMULATE: target.accumulate },
    constants: { WORKGROUP: workgroupSize(recorder) },
    overrides: { H4 },
    bindings: { x: whole(direction), factors: whole(dlogps), y: whole(target.tensor) },
    grid: gridFor(recorder, direction.shape[0] * H4),
  });
}
