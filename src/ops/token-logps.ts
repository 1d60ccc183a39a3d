/**
 * token-logps: linear -> log-softmax -> the target's log-prob, without a [tokens, vocabulary] buffer.
 *
 *   log p(y_r) = z_r[y_r] - log sum_v exp z_r[v],   z_r = W h_r
 *
 * Logits exist one chunk at a time, [row chunk, vocabulary chunk], in scratch memory whose size depends on neither the
 * vocabulary nor the number of tokens; a running maximum and sum per row tie the chunks together. The backward pass
 * makes each chunk again.
 */
import type { Op } from '../autograd/op.ts';
import { bytesPerElement, rowLength, type Tensor, temporary, whole } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Slice } from '../gpu/memory.ts';
import type { Recorder } from '../gpu/program.ts';
import { constantsOnGpu } from './constants.ts';
import { gridFor, workgroupSize } from './launch.ts';
import { launchLinear, launchLinearBackwardInput, launchLinearBackwardWeight } from './linear.ts';

export interface TokenLogpsAttributes {
  /** u32 [R]: the token whose log-prob is wanted in each row. */
  readonly targets: Tensor;
  /** Gemma 2's cap on the final logits. */
  readonly softcap?: number;
}

/** Rows and vocabulary entries whose logits exist at the same time. Multiples of 128 keep slices aligned. */
export const ROW_CHUNK = 1024;
export const VOCABULARY_CHUNK = 2048;

/** A piece of the logits: rows [row, row + rows) against vocabulary [start, start + columns). */
export interface LogitChunk {
  readonly row: number;
  readonly rows: number;
  readonly start: number;
  readonly columns: number;
  readonly first: boolean;
  /** u32 [1] on the GPU holding `start`. */
  readonly startOnGpu: Slice;
}

/** All chunks of [rows, vocabulary] logits, row chunk by row chunk; no chunk crosses a shard of the head. */
export function logitChunks(gpu: Gpu, rows: number, head: Tensor): LogitChunk[] {
  const chunks: LogitChunk[] = [];
  for (let row = 0; row < rows; row += ROW_CHUNK) {
    for (const shard of head.shards) {
      for (let offset = 0; offset < shard.rows; offset += VOCABULARY_CHUNK) {
        const start = shard.rowStart + offset;
        chunks.push({
          row,
          rows: Math.min(ROW_CHUNK, rows - row),
          start,
          columns: Math.min(VOCABULARY_CHUNK, shard.rows - offset),
          first: start === 0,
          startOnGpu: constantsOnGpu(gpu, Uint32Array.of(start)),
        });
      }
    }
  }
  return chunks;
}

/** Scratch memory that holds one chunk of logits. */
export function logitScratch(recorder: Recorder, rows: number, head: Tensor): Tensor {
  const columns = Math.min(VOCABULARY_CHUNK, head.shape[0]);
  return temporary(recorder, 'logits', [Math.min(ROW_CHUNK, rows), columns]);
}

/** Rows [start, start + rows) of a tensor that lie in one shard. */
export function rowRange(tensor: Tensor, start: number, rows: number): Tensor {
  const rowBytes = rowLength(tensor.shape) * bytesPerElement(tensor.dtype);
  const shard = tensor.shards.find((s) => s.rowStart <= start && start + rows <= s.rowStart + s.rows);
  if (shard === undefined)
    throw new RangeError(`${tensor.label}: rows ${start} to ${start + rows} cross a shard.`);
  const slice = {
    storage: shard.storage,
    byteOffset: shard.byteOffset + (start - shard.rowStart) * rowBytes,
    byteLength: Math.ceil((rows * rowBytes) / 4) * 4,
    rowStart: 0,
    rows,
  };
  return { ...tensor, shape: [rows, ...tensor.shape.slice(1)], shards: [slice], gradient: undefined };
}

/** Fills scratch with the logits of a chunk. */
export function launchLogits(
  recorder: Recorder,
  hidden: Tensor,
  head: Tensor,
  chunk: LogitChunk,
  scratch: Tensor,
): void {
  launchLinear(recorder, rowsOf(hidden, chunk), logitsOf(scratch, chunk), {
    rows: chunk.rows,
    weight: rowRange(head, chunk.start, chunk.columns),
    scale: 1,
    accumulate: false,
  });
}

/** Inputs: hidden [R, H] and head [V, H]. Output: log-probs [R]. */
export const tokenLogps: Op<TokenLogpsAttributes> = {
  name: 'token_logps',

  launch(recorder, [hidden, head], { targets, softcap }) {
    const rows = hidden.shape[0];
    const scratch = logitScratch(recorder, rows, head);
    const state = temporary(recorder, 'softmax state', [rows, 4]);
    for (const chunk of logitChunks(recorder.gpu, rows, head)) {
      launchLogits(recorder, hidden, head, chunk, scratch);
      recorder.dispatch({
        label: 'token_logps_chunk_forward',
        kernel: 'token_logps_chunk_forward',
        conditions: { FIRST: chunk.first, SOFTCAP: softcap !== undefined },
        constants: { WORKGROUP: workgroupSize(recorder) },
        overrides: { C: chunk.columns, ...cap(softcap) },
        bindings: [logitsOf(scratch, chunk), rowsOf(targets, chunk), rowsOf(state, chunk), chunk.startOnGpu],
        grid: gridFor(recorder, chunk.rows),
      });
    }
    const logps = temporary(recorder, 'logps', [rows]);
    const lse = temporary(recorder, 'log-sum-exp', [rows]);
    recorder.dispatch({
      label: 'token_logps_finish',
      kernel: 'token_logps_finish',
      constants: { WORKGROUP: workgroupSize(recorder) },
      bindings: [whole(state), whole(logps), whole(lse)],
      grid: gridFor(recorder, rows),
    });
    return { outputs: [logps], saved: [lse] };
  },

  // dz_v = dlogp (1[v = y] - p_v);   dh = dz W,   dW = dzᵀ h
  gradient({
    recorder,
    inputs: [hidden, head],
    saved: [lse],
    outputGradients: [dlogps],
    attributes,
    needs,
    target,
  }) {
    if (dlogps === undefined) return;
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
  recorder.dispatch({
    label: 'token_logps_chunk_backward',
    kernel: 'token_logps_chunk_backward',
    conditions: { SOFTCAP: softcap !== undefined },
    constants: { WORKGROUP: workgroupSize(recorder) },
    overrides: { C: chunk.columns, ...cap(softcap) },
    bindings: [
      logitsOf(scratch, chunk),
      rowsOf(targets, chunk),
      rowsOf(lse, chunk),
      rowsOf(dlogps, chunk),
      chunk.startOnGpu,
    ],
    grid: gridFor(recorder, chunk.rows * chunk.columns),
  });
}

/** `head` with shards that also end where those of `other` end: rows that both heads hold in one piece. */
export function cutAlike(head: Tensor, other: Tensor): Tensor {
  const ends = [...head.shards, ...other.shards].map((shard) => shard.rowStart + shard.rows);
  const starts = [0, ...new Set(ends)].sort((a, b) => a - b);
  return { ...head, shards: starts.slice(0, -1).map((start, i) => rowShard(head, start, starts[i + 1])) };
}

function rowShard(tensor: Tensor, start: number, end: number): Tensor['shards'][number] {
  return { ...whole(rowRange(tensor, start, end - start)), rowStart: start, rows: end - start };
}

/** The rows of a chunk in a tensor over all rows. */
export function rowsOf(tensor: Tensor, chunk: LogitChunk): Slice {
  return whole(rowRange(tensor, chunk.row, chunk.rows));
}

/** The part of the scratch that a chunk fills. */
export function logitsOf(scratch: Tensor, chunk: LogitChunk): Slice {
  return { ...whole(scratch), byteLength: 4 * chunk.rows * chunk.columns };
}

function cap(softcap: number | undefined): Record<string, number> {
  return softcap === undefined ? {} : { CAP: softcap };
}
