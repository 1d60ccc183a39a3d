/**
 * token_statistics: what the next-token distributions of response tokens look like, for evaluation and for pages. Formed
 * chunk by chunk over the vocabulary as token_logps is; [tokens, vocabulary] is never stored. Carries no gradient.
 *
 *   entropy H(p), KL(p || q) of the policy p against another stream q, and KL(q || p), in nats; rank of the target
 *   (0 is the most probable; tokens within f32 rounding of the target may count on either side), and the most probable tokens.
 */
import { type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import type { Recorder } from '../../gpu/program.ts';
import { gridFor, workgroupSize } from '../launch.ts';
import {
  cutAlike,
  type LmHead,
  launchLogits,
  logitChunks,
  logitScratch,
  logitsOf,
  rowsOf,
} from './logit-chunks.ts';
import { tokenLogps } from './token-logps.ts';

/** Most probable tokens that are kept per token. */
export const TOP = 5;

/** Hidden states [R, H] and the head that makes logits of them. */
export interface LogitStream {
  readonly hidden: Tensor;
  readonly head: LmHead;
}

/** Columns of the statistics; behind them TOP times (id, log-prob), most probable first. KLs are 0 without another stream. */
export const COLUMNS = { entropy: 0, kl: 1, reverseKl: 2, rank: 3 } as const;
/** Numbers per token. */
export const STRIDE = 4 + 2 * TOP;

/**
 * @param targets u32 [R]
 * @param other has the same cap on its logits
 * @returns f32 [R, STRIDE]; see COLUMNS
 */
export function recordTokenStatistics(
  recorder: Recorder,
  stream: LogitStream,
  targets: Tensor,
  other?: LogitStream,
): Tensor {
  const rows = stream.hidden.shape[0];
  const own = logSumExp(recorder, stream, targets);
  const others = other && logSumExp(recorder, other, targets);
  const statistics = temporary(recorder, 'token statistics', [rows, STRIDE]);
  const { weight, softcap } = stream.head;
  const scratch = logitScratch(recorder, rows, weight);
  const otherScratch = other && logitScratch(recorder, rows, other.head.weight);
  const head = other === undefined ? weight : cutAlike(weight, other.head.weight);
  for (const chunk of logitChunks(recorder.gpu, rows, head)) {
    launchLogits(recorder, stream.hidden, weight, chunk, scratch);
    if (other !== undefined && otherScratch !== undefined)
      launchLogits(recorder, other.hidden, other.head.weight, chunk, otherScratch);
    recorder.launch({
      kernel: 'token_statistics_chunk',
      conditions: { FIRST: chunk.first, OTHER: other !== undefined, SOFTCAP: softcap !== undefined },
      constants: { WORKGROUP: workgroupSize(recorder), K: TOP },
      overrides: { C: chunk.columns, ...(softcap === undefined ? {} : { CAP: softcap }) },
      bindings: {
        z: logitsOf(scratch, chunk),
        lse: rowsOf(own.lse, chunk),
        logps: rowsOf(own.logps, chunk),
        targets: rowsOf(targets, chunk),
        stats: rowsOf(statistics, chunk),
        chunk_start: chunk.startOnGpu,
        other: otherScratch && logitsOf(otherScratch, chunk),
        other_lse: others && rowsOf(others.lse, chunk),
      },
      grid: gridFor(recorder, chunk.rows),
    });
  }
  return statistics;
}

/** One column of the statistics, f32 [R]. */
export function statisticsColumn(recorder: Recorder, statistics: Tensor, name: keyof typeof COLUMNS): Tensor {
  const column = temporary(recorder, name, [statistics.shape[0]]);
  recorder.launch({
    kernel: 'column_select',
    constants: { WORKGROUP: workgroupSize(recorder) },
    overrides: { STRIDE, COLUMN: COLUMNS[name] },
    bindings: { rows: whole(statistics), column: whole(column) },
    grid: gridFor(recorder, statistics.shape[0]),
  });
  return column;
}

/** Log-probs of the targets and the normaliser, by the production pass. */
function logSumExp(recorder: Recorder, { hidden, head: { weight, softcap } }: LogitStream, targets: Tensor) {
  const frozen = [hidden, weight].map((tensor) => ({ ...tensor, requiresGrad: false }));
  const launched = tokenLogps.launch(recorder, frozen, { targets, softcap });
  const [logps, lse] = [...launched.outputs, ...(launched.saved ?? [])];
  return { logps, lse };
}
