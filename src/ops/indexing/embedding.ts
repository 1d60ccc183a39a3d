/** embedding: y[t] = scale · table[ids[t]]. table [V, H] in any float dtype, possibly sharded by rows; H is even. */
import type { Op } from '../../autograd/op.ts';
import { type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import { gridFor, workgroupSize } from '../launch.ts';

/** Tokens by id, made on the host (src/data/occurrences.ts): what a deterministic scatter-add needs. u32. */
export interface Occurrences {
  readonly order: Tensor;
  readonly starts: Tensor;
  readonly uniqueIds: Tensor;
}

export interface EmbeddingAttributes {
  /** u32 [T]. */
  readonly ids: Tensor;
  /** Gemma's sqrt(hidden). Default 1. */
  readonly scale?: number;
  /** Needed only where the table is trained. */
  readonly occurrences?: Occurrences;
}

export const embedding: Op<EmbeddingAttributes> = {
  name: 'embedding',

  launch(recorder, [table], { ids, scale = 1 }) {
    const [tokens] = ids.shape;
    const width = table.shape[1];
    const y = temporary(recorder, 'embedding', [tokens, width]);
    for (const shard of table.shards) {
      recorder.launch({
        kernel: 'embedding_forward',
        conditions: {
          W_HALF: table.dtype === 'f16' || table.dtype === 'bf16',
          W_BF16: table.dtype === 'bf16',
        },
        constants: { WORKGROUP: workgroupSize(recorder) },
        overrides: { H: width, FIRST_ROW: shard.rowStart, SCALE: scale },
        bindings: { ids: whole(ids), table: shard, y: whole(y) },
        grid: gridFor(recorder, (tokens * width) / 2),
      });
    }
    return { outputs: [y] };
  },

  // dtable[v] = scale · sum over the tokens t with id v of dy[t]
  gradient({
    recorder,
    inputs: [table],
    attributes: { ids, occurrences, scale = 1 },
    outputGradients: [dy],
    needs,
    target,
  }) {
    if (dy === undefined || !needs(0)) return;
    if (occurrences === undefined)
      throw new RangeError('The embedding is trained, but the batch has no occurrence lists.');
    const width = table.shape[1];
    const { tensor, accumulate } = target(0);
    if (!accumulate)
      throw new RangeError(
        'An embedding gradient is accumulated into a trained leaf; it has no other place.',
      );
    for (const shard of tensor.shards) {
      recorder.launch({
        kernel: 'embedding_backward',
        constants: { WORKGROUP: workgroupSize(recorder) },
        overrides: { H: width, FIRST_ROW: shard.rowStart, SCALE: scale },
        bindings: {
          order: whole(occurrences.order),
          starts: whole(occurrences.starts),
          unique_ids: whole(occurrences.uniqueIds),
          dy: whole(dy),
          dtable: shard,
        },
        grid: gridFor(recorder, ids.shape[0] * width),
      });
    }
  },

  reference([table], { ids, scale = 1 }, index) {
    const width = table.shape[1];
    const rows = index(ids);
    const data = new Float64Array(rows.length * width);
    rows.forEach((id, t) => {
      for (let h = 0; h < width; h++) data[t * width + h] = scale * table.data[id * width + h];
    });
    return [{ shape: [rows.length, width], data }];
  },
};
