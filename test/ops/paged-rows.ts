/** Paged attention of three sequences, and the same in f64. Free of the test runner. */
import type { Gpu } from '../../src/gpu/device.ts';
import type { AttentionShape } from '../../src/ops/attention/attention.ts';
import { BLOCK_TOKENS, pagedAttention } from '../../src/ops/attention/paged-attention.ts';
import { record } from '../support/record.ts';
import { gridValues, Workbench } from '../support/workbench.ts';

/** Rows of three sequences: a short one, one over several blocks, one behind a shared prefix that ends inside of a block. */
const PLACES = [
  { position: 0, shared: 0, table: [3] },
  { position: 40, shared: 0, table: [5, 1, 7] },
  { position: 37, shared: 21, table: [2, 6, 4, 8] },
].map((row) => {
  return { ...row, gap: Math.ceil(row.shared / BLOCK_TOKENS) * BLOCK_TOKENS - row.shared };
});
const TABLE = 4;
const CACHE_ROWS = 9 * BLOCK_TOKENS;

/** The rows of these sequences in one step, what they are in f64, and the kernels that made them. */
export async function attendPaged(gpu: Gpu, shape: AttentionShape, rows: readonly number[]) {
  const bench = new Workbench(gpu);
  const { heads, kvHeads, headDim } = shape;
  const all = gridValues(1, [PLACES.length, heads * headDim]);
  const q = {
    shape: [rows.length, heads * headDim],
    data: rows.flatMap((r) => Array.from(all.data).slice(r * heads * headDim, (r + 1) * heads * headDim)),
  };
  const [keys, values] = [2, 3].map((seed) => gridValues(seed, [CACHE_ROWS, kvHeads * headDim]));
  const places = rows.flatMap((r) => [PLACES[r].position, PLACES[r].shared, PLACES[r].gap, 0]);
  const tables = rows.flatMap((r) => [...PLACES[r].table, 0, 0, 0, 0].slice(0, TABLE));
  const [query, k, v] = [q, keys, values].map((t, i) => bench.floats(`input ${i}`, t));
  const layout = {
    places: bench.indices('places', [rows.length, 4], places),
    tables: bench.indices('tables', [rows.length, TABLE], tables),
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
