/**
 * token-logps: linear -> log-softmax -> the target's log-prob, without a [tokens, vocabulary] buffer.
 *
 *   log p(y_r) = z_r[y_r] - log sum_v exp z_r[v],   z_r = W h_r
 *
 * Logits exist one chunk at a time, [row chunk, vocabulary chunk], in scratch memory whose size depends on neither the
 * vocabulary nor the number of tokens; a running maximum and sum per row tie the chunks together. The backward pass
 * makes each chunk again, unless the head is frozen (logp-direction.ts).
 */
import type { Op } from '../../autograd/op.ts';
import { rowRange, type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import { gridFor, rowLaunch, workgroupSize } from '../launch.ts';
import { launchLinearBackwardInput, launchLinearBackwardWeight } from '../linear/linear.ts';
import {
  type LogitChunk,
  launchLogits,
  logitChunks,
  logitScratch,
  logitsOf,
  rowsOf,
} from './logit-chunks.ts';
import { LogpDirection, launchAlongDirection, wantsDirection } from './logp-direction.ts';

export interface TokenLogpsAttributes {
  /** u32 [R]: the token whose log-prob is wanted in each row. */
  readonly targets: Tensor;
  /** Gemma 2's cap on the final logits. */
  readonly softcap?: number | undefined;
}

/** Inputs: hidden [R, H] and head [V, H]. Output: log-probs [R]. */
export const tokenLogps: Op<TokenLogpsAttributes> = {
  name: 'token_logps',

  launch(recorder, [hidden, head], { targets, softcap }) {
    const rows = hidden.shape[0];
    const scratch = logitScratch(recorder, rows, head);
    const state = temporary(recorder, 'softmax state', [rows, 4]);
    const direction = wantsDirection(hidden, head)
      ? new LogpDirection(recorder, { hidden, head, softcap, state, stateStride: 1 })
      : undefined;
    for (const chunk of logitChunks(recorder.gpu, rows, head)) {
      launchLogits(recorder, hidden, head, chunk, scratch);
      const { conditions, ...rowwise } = rowLaunch(recorder, chunk.rows);
      recorder.launch({
        kernel: 'token_logps_chunk_forward',
        conditions: {
          ...conditions,
          ...chunkConditions(chunk, softcap),
          FIRST: chunk.first,
          WEIGHTS: direction !== undefined,
        },
        ...rowwise,
        overrides: cap(softcap),
        bindings: {
          z: logitsOf(scratch, chunk),
          targets: rowsOf(targets, chunk),
          state: rowsOf(state, chunk),
          chunk_start: chunk.startOnGpu,
        },
      });
      direction?.add(chunk, logitsOf(scratch, chunk));
    }
    const logps = temporary(recorder, 'logps', [rows]);
    const lse = temporary(recorder, 'log-sum-exp', [rows]);
    recorder.launch({
      kernel: 'token_logps_finish',
      constants: { WORKGROUP: workgroupSize(recorder) },
      bindings: { state: whole(state), logps: whole(logps), lse: whole(lse) },
      grid: gridFor(recorder, rows),
    });
    direction?.finish(targets, lse, logps);
    return { outputs: [logps], saved: direction === undefined ? [lse] : [lse, direction.tensor] };
  },

  // dz_v = dlogp (1[v = y] - p_v);   dh = dz W,   dW = dzᵀ h
  gradient({
    recorder,
    inputs: [hidden, head],
    saved: [lse, direction],
    outputGradients: [dlogps],
    attributes,
    needs,
    target,
  }) {
    if (dlogps === undefined) return;
    if (direction !== undefined) {
      launchAlongDirection(recorder, direction, dlogps, target(0));
      return;
    }
    const rows = hidden.shape[0];
    const scratch = logitScratch(recorder, rows, head);
    const dHidden = needs(0) ? target(0) : undefined;
    const dHead = needs(1) ? target(1) : undefined;
    for (const chunk of logitChunks(recorder.gpu, rows, head)) {
      launchLogits(recorder, hidden, head, chunk, scratch);
      launchLogitGradient(recorder, scratch, chunk, lse, dlogps, attributes);
      if (dHidden !== undefined) {
        launchLinearBackwardInput(recorder, logitsOf(scratch, chunk), rowsOf(dHidden.tensor, chunk), {
          rows: chunk.rows,
          weight: rowRange(head, chunk.start, chunk.columns),
          scale: 1,
          accumulate: dHidden.accumulate || !chunk.first,
        });
      }
      if (dHead !== undefined) {
        launchLinearBackwardWeight(recorder, logitsOf(scratch, chunk), rowsOf(hidden, chunk), {
          rows: chunk.rows,
          weight: rowRange(dHead.tensor, chunk.start, chunk.columns),
          scale: 1,
          accumulate: dHead.accumulate || chunk.row > 0,
          stored: head.dtype,
        });
      }
    }
  },

  reference([hidden, head], { targets, softcap }, index) {
    const [rows, width] = hidden.shape;
    const vocabulary = head.shape[0];
    const ids = index(targets);
    const data = new Float64Array(rows);
    for (let r = 0; r < rows; r++) {
      const z = new Float64Array(vocabulary);
      for (let v = 0; v < vocabulary; v++) {
        for (let k = 0; k < width; k++) z[v] += hidden.data[r * width + k] * head.data[v * width + k];
        if (softcap !== undefined) z[v] = softcap * Math.tanh(z[v] / softcap);
      }
      const largest = z.reduce((a, b) => Math.max(a, b));
      data[r] = z[ids[r]] - largest - Math.log(z.reduce((sum, value) => sum + Math.exp(value - largest), 0));
    }
    return [{ shape: [rows], data }];
  },
};

/** Turns the logits in scratch into dz, in place. */
export function launchLogitGradient(
  recorder: Recorder,
  scratch: Tensor,
  chunk: LogitChunk,
  lse: Tensor,
  dlogps: Tensor,
  { targets, softcap }: TokenLogpsAttributes,
): void {
  recorder.launch({
    kernel: 'token_logps_chunk_backward',
    conditions: chunkConditions(chunk, softcap),
    constants: { WORKGROUP: workgroupSize(recorder) },
    overrides: cap(softcap),
    bindings: {
      z: logitsOf(scratch, chunk),
      targets: rowsOf(targets, chunk),
      lse: rowsOf(lse, chunk),
      dlogps: rowsOf(dlogps, chunk),
      chunk_start: chunk.startOnGpu,
    },
    grid: gridFor(recorder, (chunk.rows * chunk.columns) / (chunk.columns % 4 === 0 ? 4 : 1)),
  });
}

/** How kernels read the logits of a chunk. */
export function chunkConditions({ columns }: LogitChunk, softcap: number | undefined) {
  return { VEC4: columns % 4 === 0, SOFTCAP: softcap !== undefined };
}

export function cap(softcap: number | undefined): { readonly CAP?: number } {
  return softcap === undefined ? {} : { CAP: softcap };
}
