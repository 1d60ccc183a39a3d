/**
 * Decoding attention over a paged cache: one query per row against the keys and values of its sequence, which lie in blocks
 * of BLOCK_TOKENS cache rows that the sequence's table lists (vLLM's PagedAttention). Carries no gradient.
 *
 *   y_r = sum_j softmax_j(q_r . key_j · scale) value_j   over tokens j <= position of row r, within a window if there is one
 *
 * Sequences that share a prefix list the same blocks for it; their own tokens begin a new block, `gap` cache rows further on.
 */
import type { Op } from '../../autograd/op.ts';
import { type Tensor, temporary, whole } from '../../autograd/tensor.ts';
import { gridOf, type Recorder } from '../../gpu/program.ts';
import { gridFor, takesWorkgroups, workgroupSize } from '../launch.ts';
import type { AttentionShape } from './attention.ts';
import { rolled, scoreScale } from './attention-variants.ts';
import { pagedMatrices } from './paged-matrices.ts';

/** Tokens in a block of the cache. */
export const BLOCK_TOKENS = 16;

/** Keys and values of one layer, f32 [blocks * BLOCK_TOKENS, kvHeads * headDim]. */
export interface LayerCache {
  readonly keys: Tensor;
  readonly values: Tensor;
}

/** Where the tokens of each row's sequence lie; index tensors, u32. */
export interface PagedLayout {
  /** [R, 4]: position of the query, tokens of the shared prefix, cache rows left free behind it, unused. */
  readonly places: Tensor;
  /** [R, blocks]: the blocks of a sequence in order. */
  readonly tables: Tensor;
}

/** Stores keys and values [T, kvHeads * headDim] of new tokens in rows `cacheRows` (u32 [T]) of the cache. */
export function recordCacheWrite(
  recorder: Recorder,
  k: Tensor,
  v: Tensor,
  cacheRows: Tensor,
  { keys, values }: LayerCache,
): void {
  const [tokens, width] = k.shape;
  recorder.launch({
    kernel: 'paged_cache_write',
    constants: { WORKGROUP: workgroupSize(recorder) },
    overrides: { WIDTH: width },
    bindings: {
      k: whole(k),
      v: whole(v),
      places: whole(cacheRows),
      keys: whole(keys),
      values: whole(values),
    },
    grid: gridFor(recorder, tokens * width),
  });
}

/** Keys that a workgroup looks at together on a GPU. */
const KEYS = 64;

/**
 * Tokens that one workgroup takes on a GPU; longer texts are chunks with a workgroup each, else few sequences would keep few workgroups busy
 * for long. A multiple of every tile of keys. The results of as many sequences as decode together must fit into a binding.
 */
const CHUNK = 1024;

export interface PagedAttentionAttributes extends AttentionShape {
  readonly layout: PagedLayout;
}

/** q [R, heads * headDim], keys and values of a `LayerCache` -> [R, heads * headDim]. */
export const pagedAttention: Op<PagedAttentionAttributes> = {
  name: 'paged attention',

  launch(recorder, [q, keys, values], attributes) {
    const { layout, window } = attributes;
    const y = temporary(recorder, 'attended', q.shape);
    const chunks = chunksOf(recorder, layout, window);
    if (chunks === 1) launchPaged(recorder, { q, keys, values, y }, attributes);
    else {
      const [rows, width] = q.shape;
      const sums = temporary(recorder, 'attended, chunks', [rows, chunks * width]);
      const stats = temporary(recorder, 'attended, softmax of chunks', [rows, chunks * attributes.heads * 2]);
      launchPaged(recorder, { q, keys, values, y: sums }, attributes, { chunks, stats });
      launchFold(recorder, { sums, stats, y }, attributes, chunks);
    }
    return { outputs: [y] };
  },

  gradient() {
    throw new RangeError('Paged attention is for decoding, and has no gradient.');
  },

  reference([q, keys, values], attributes, index) {
    const { heads, kvHeads, headDim, window, softcap, layout } = attributes;
    const scale = scoreScale(attributes);
    const [allPlaces, tables] = [index(layout.places), index(layout.tables)];
    const rows = q.shape[0];
    const data = new Float64Array(q.data.length);
    for (let r = 0; r < rows; r++) {
      const [position, shared, gap] = [0, 1, 2].map((i) => allPlaces[4 * r + i]);
      const table = Array.from(tables).slice((r * tables.length) / rows, ((r + 1) * tables.length) / rows);
      const oldest = window === undefined ? 0 : Math.max(0, position + 1 - window);
      for (let h = 0; h < heads; h++) {
        const own = (r * heads + h) * headDim;
        const places = Array.from({ length: position + 1 - oldest }, (_, i) => {
          const row = cacheRowOf(table, oldest + i, shared, gap);
          return (row * kvHeads + Math.floor((h * kvHeads) / heads)) * headDim;
        });
        const scores = places.map((place) => {
          let score = 0;
          for (let d = 0; d < headDim; d++) score += scale * q.data[own + d] * keys.data[place + d];
          return softcap === undefined ? score : softcap * Math.tanh(score / softcap);
        });
        const largest = Math.max(...scores);
        const total = scores.reduce((sum, score) => sum + Math.exp(score - largest), 0);
        places.forEach((place, i) => {
          const p = Math.exp(scores[i] - largest) / total;
          for (let d = 0; d < headDim; d++) data[own + d] += p * values.data[place + d];
        });
      }
    }
    return [{ shape: q.shape, data }];
  },
};

/** The cache row of token `j` of a sequence. */
export function cacheRowOf(table: ArrayLike<number>, j: number, shared: number, gap: number): number {
  const u = j < shared ? j : j + gap;
  return table[Math.floor(u / BLOCK_TOKENS)] * BLOCK_TOKENS + (u % BLOCK_TOKENS);
}

/** Chunks that the longest text of a layout may have. A shorter one has the bits that it has without chunks. */
function chunksOf(recorder: Recorder, { tables }: PagedLayout, window = Number.POSITIVE_INFINITY): number {
  if (!takesWorkgroups(recorder)) return 1;
  return Math.ceil(Math.min(tables.shape[1] * BLOCK_TOKENS, window) / CHUNK);
}

/** What chunks are made with: how many each row has room for, and the largest score and the sum of weights of each. */
interface Split {
  readonly chunks: number;
  readonly stats: Tensor;
}

function launchPaged(
  recorder: Recorder,
  { q, keys, values, y }: Readonly<Record<'q' | 'keys' | 'values' | 'y', Tensor>>,
  attributes: PagedAttentionAttributes,
  split?: Split,
): void {
  const { heads, kvHeads, headDim, window, softcap, layout } = attributes;
  const { chunks = 1, stats } = split ?? {};
  const rows = q.shape[0];
  const conditions = {
    WINDOWED: window !== undefined,
    SOFTCAP: softcap !== undefined,
    SPLIT: stats !== undefined,
  };
  const common = {
    label: 'attention_paged',
    overrides: {
      HEADS: heads,
      KV_HEADS: kvHeads,
      SCALE: scoreScale(attributes),
      BLOCK: BLOCK_TOKENS,
      ...(window === undefined ? {} : { WINDOW: window }),
      ...(softcap === undefined ? {} : { CAP: softcap }),
      ...(stats === undefined ? {} : { CHUNK, CHUNKS: chunks }),
    },
    bindings: {
      q: whole(q),
      keys: whole(keys),
      values: whole(values),
      places: whole(layout.places),
      tables: whole(layout.tables),
      y: whole(y),
      stats: stats && whole(stats),
    },
  };
  const matrices = pagedMatrices(recorder, attributes);
  if (matrices !== undefined) {
    const { constants, units } = matrices;
    const grid = gridOf(rows * units * chunks);
    recorder.launch({ kernel: 'attention_paged_matrices', ...common, conditions, constants, grid });
    return;
  }
  const ROW_PER_WORKGROUP = takesWorkgroups(recorder);
  const units = rows * (ROW_PER_WORKGROUP ? heads * chunks : kvHeads);
  // Few rows are all that a CPU adapter's cores can share.
  const workgroup = ROW_PER_WORKGROUP ? KEYS : 8;
  recorder.launch({
    kernel: 'attention_paged',
    ...common,
    conditions: { ...conditions, ROW_PER_WORKGROUP, ROLLED: rolled(recorder, headDim) },
    constants: { WORKGROUP: workgroup, HEAD4: headDim / 4, GROUP: heads / kvHeads },
    grid: gridOf(ROW_PER_WORKGROUP ? units : Math.ceil(units / workgroup)),
  });
}

/** One softmax of all chunks. */
function launchFold(
  recorder: Recorder,
  { sums, stats, y }: Readonly<Record<'sums' | 'stats' | 'y', Tensor>>,
  { heads, headDim, window, layout }: PagedAttentionAttributes,
  chunks: number,
): void {
  recorder.launch({
    kernel: 'attention_paged_fold',
    conditions: { WINDOWED: window !== undefined, SPLIT: true },
    constants: { WORKGROUP: workgroupSize(recorder) },
    overrides: {
      HEADS: heads,
      HEAD4: headDim / 4,
      CHUNK,
      CHUNKS: chunks,
      ...(window === undefined ? {} : { WINDOW: window }),
    },
    bindings: { sums: whole(sums), stats: whole(stats), places: whole(layout.places), y: whole(y) },
    grid: gridFor(recorder, (y.shape[0] * y.shape[1]) / 4),
  });
}
