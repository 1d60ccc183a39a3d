/**
 * Logits a piece at a time: rows of hidden states against a stretch of the vocabulary, in scratch memory whose size depends
 * on neither the vocabulary nor the number of tokens.
 */
import { rowRange, type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { Slice } from '../../gpu/memory.ts';
import type { Recorder } from '../../gpu/program.ts';
import { constantsOnGpu } from '../constants.ts';
import { launchLinear } from '../linear/linear.ts';

/**
 * Rows and vocabulary entries whose logits exist at the same time; multiples of 128 keep slices aligned. A CPU adapter has
 * them in its caches; on a GPU the product of a chunk is to keep every core busy (1024 tiles of 128 x 128, 64 MiB).
 */
export function chunkSize(gpu: Gpu): { readonly rows: number; readonly columns: number } {
  return gpu.profile.logitChunk;
}

/** The last layer of a model: z = cap(h Wᵀ), with Gemma 2's cap on logits where there is one: softcap * tanh(z / softcap). */
export interface LmHead {
  /** [vocabulary, hidden]. */
  readonly weight: Tensor;
  readonly softcap: number | undefined;
}

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
  const most = chunkSize(gpu);
  for (let row = 0; row < rows; row += most.rows) {
    for (const shard of head.shards) {
      for (let offset = 0; offset < shard.rows; offset += most.columns) {
        const start = shard.rowStart + offset;
        chunks.push({
          row,
          rows: Math.min(most.rows, rows - row),
          start,
          columns: Math.min(most.columns, shard.rows - offset),
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
  const most = chunkSize(recorder.gpu);
  return temporary(recorder, 'logits', [Math.min(most.rows, rows), Math.min(most.columns, head.shape[0])]);
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
