/** Paged attention of three sequences, and the same in f64. Free of the test runner. */
import type { Gpu } from '../../src/gpu/device.ts';
import type { AttentionShape } from '../../src/ops/attention/attention.ts';
import { BLOCK_TOKENS, pagedAttention } from '../../src/ops/attention/paged-attention.ts';
import { record } from '../support/record.ts';
import { gridValues, Workbench } from '../support/workbench.ts';

/** Where a sequence lies. */
interface Place {
  readonly position: number;
  readonly shared: number;
  readonly table: readonly number[];
}

/** Rows of three sequences: a short one, one over several blocks, one behind a shared prefix that ends inside of a block. */
const PLACES: readonly Place[] = [
  { position: 0, shared: 0, table: [3] },
  { position: 40, shared: 0, table: [5, 1, 7] },
  { position: 37, shared: 21, table: [2, 6, 4, 8] },
];

/** Blocks of a cache of 256, in an order of their own. */
const blocks = (count: number, from: number) =>
  Array.from({ length: count }, (_, i) => (37 * (from + i)) % 256);

/** Sequences that GPUs take in one, in two and in three chunks of 1024 tokens, the last chunk of a single token. */
export const LONG: readonly Place[] = [
  { position: 300, shared: 0, table: blocks(19, 0) },
  { position: 1500, shared: 21, table: blocks(95, 19) },
  { position: 2048, shared: 0, table: blocks(129, 114) },
];

/** The rows of some sequences in one step, what they are in f64, and the kernels that made them. */
export async function attendPaged(gpu: Gpu, shape: AttentionShape, rows: readonly number[], of = PLACES) {
  const bench = new Workbench(gpu);
  const { heads, kvHeads, headDim } = shape;
  const all = gridValues(1, [of.length, heads * headDim]);
  const q = {
    shape: [rows.length, heads * headDim],
    data: rows.flatMap((r) => Array.from(all.data).slice(r * heads * headDim, (r + 1) * heads * headDim)),
  };
  const cacheRows = BLOCK_TOKENS * (1 + Math.max(...of.flatMap(({ table }) => table)));
  const [keys, values] = [2, 3].map((seed) => gridValues(seed, [cacheRows, kvHeads * headDim]));
  const width = Math.max(...rows.map((r) => of[r].table.length));
  const gapOf = ({ shared }: Place) => Math.ceil(shared / BLOCK_TOKENS) * BLOCK_TOKENS - shared;
  const places = rows.flatMap((r) => [of[r].position, of[r].shared, gapOf(of[r]), 0]);
  const tables = rows.flatMap((r) => Array.from({ length: width }, (_, i) => of[r].table[i] ?? 0));
  const [query, k, v] = [q, keys, values].map((t, i) => bench.floats(`input ${i}`, t));
  const layout = {
    places: bench.indices('places', [rows.length, 4], places),
    tables: bench.indices('tables', [rows.length, width], tables),
  };
  const attributes = { ...shape, layout };
  let kernels: string[] = [];
  const [y] = await record(gpu, (recorder) => {
    const { outputs } = pagedAttention.launch(recorder, [query, k, v], attributes);
    kernels = recorder.dispatches.map(({ kernel }) => kernel);
    return outputs;
  });
  bench.free();
  const onHost = [q, keys, values].map(({ shape: s, data }) => {
    return { shape: s, data: Float64Array.from(data) };
  });
  const [expected] = pagedAttention.reference(onHost, attributes, bench.index);
  return { y, expected: Float32Array.from(expected.data), kernels };
}
