/** q, k and v of a decoding step in one dispatch, against the products, the turns and the cache write that it replaces. */
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../src/autograd/tensor.ts';
import type { Recorder } from '../../src/gpu/program.ts';
import { recordAttentionInputs } from '../../src/ops/attention/attention-inputs.ts';
import { recordCacheWrite } from '../../src/ops/attention/paged-attention.ts';
import { rotary } from '../../src/ops/elementwise/rotary.ts';
import { linear } from '../../src/ops/linear/linear.ts';
import { rmsNorm } from '../../src/ops/norm/rms-norm.ts';
import { expectClose, expectSameBits } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { record } from '../support/record.ts';
import { gridValues, type HostTensor, Workbench } from '../support/workbench.ts';

const gpu = await testGpu();

const [WIDTH, HEAD, CACHE_ROWS] = [20, 12, 24];
/** Three heads of q are nine fours of columns: more than a subgroup has invocations. */
const [OWN, SHARED] = [3 * HEAD, HEAD];

interface Inputs {
  readonly x: Tensor;
  readonly norm: Tensor | undefined;
  readonly weights: { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor };
  readonly rope: { readonly positions: Tensor; readonly table: Tensor; readonly headDim: number };
  readonly places: Tensor;
  readonly cache: { readonly keys: Tensor; readonly values: Tensor };
}

/** What the products are of: x, or where there is a norm, its rows normed. */
function rowsOf(recorder: Recorder, { x, norm }: Inputs): Tensor {
  return norm === undefined ? x : rmsNorm.launch(recorder, [x, norm], { eps: 1e-5 }).outputs[0];
}

function oneDispatch(recorder: Recorder, inputs: Inputs): Tensor {
  const { weights, rope, places, cache } = inputs;
  const q = recorder.withFewRows(() =>
    recordAttentionInputs(recorder, rowsOf(recorder, inputs), weights, rope, places, cache),
  );
  expect(recorder.dispatches.map(({ kernel }) => kernel)).toEqual(['attention_inputs_subgroup']);
  if (q === undefined) throw new RangeError('Nothing was recorded.');
  return q;
}

function severalDispatches(recorder: Recorder, inputs: Inputs): Tensor {
  const { weights, rope, places, cache } = inputs;
  const x = rowsOf(recorder, inputs);
  const product = (w: Tensor) => linear.launch(recorder, [x, w], {}).outputs[0];
  const turned = (y: Tensor) =>
    rotary.launch(recorder, [y], { ...rope, frequencies: new Float64Array(HEAD / 2) }).outputs[0];
  recordCacheWrite(recorder, turned(product(weights.k)), product(weights.v), places, cache);
  return turned(product(weights.q));
}

/** @returns q, and the cache that held other numbers before */
async function run(
  rows: number,
  dtype: HostTensor['dtype'],
  compute: (recorder: Recorder, inputs: Inputs) => Tensor,
  isNormed = false,
) {
  const bench = new Workbench(gpu);
  const weight = (seed: number, height: number) =>
    bench.floats(`weight ${seed}`, { ...gridValues(seed, [height, WIDTH], 0.5), dtype });
  const cacheOf = (seed: number) => bench.floats(`cache ${seed}`, gridValues(seed, [CACHE_ROWS, SHARED]));
  const inputs: Inputs = {
    x: bench.floats('x', gridValues(1, [rows, WIDTH])),
    norm: isNormed ? bench.floats('norm', gridValues(8, [WIDTH])) : undefined,
    weights: { q: weight(2, OWN), k: weight(3, SHARED), v: weight(4, SHARED) },
    rope: {
      positions: bench.indices(
        'positions',
        [rows],
        Array.from({ length: rows }, (_, r) => (5 * r) % 7),
      ),
      table: bench.floats('table', gridValues(5, [7, HEAD])),
      headDim: HEAD,
    },
    places: bench.indices(
      'places',
      [rows],
      Array.from({ length: rows }, (_, r) => CACHE_ROWS - 1 - 2 * r),
    ),
    cache: { keys: cacheOf(6), values: cacheOf(7) },
  };
  const results = await record(gpu, (recorder) => {
    const q = compute(recorder, inputs);
    return [q, inputs.cache.keys, inputs.cache.values];
  });
  bench.free();
  return results;
}

describe.skipIf(!gpu.profile.sharesLoads)('attention inputs of few rows', () => {
  it.each(['f32', 'f16', 'bf16'] as const)(
    'are those of single dispatches, with %s weights',
    async (dtype) => {
      const [one, several] = [await run(11, dtype, oneDispatch), await run(11, dtype, severalDispatches)];
      for (const [i, name] of ['q', 'keys', 'values'].entries()) expectClose(one[i], several[i], 1e-5, name);
    },
  );

  it('are those of normed rows, which the dispatch norms itself', async () => {
    const one = await run(11, 'f32', oneDispatch, true);
    const several = await run(11, 'f32', severalDispatches, true);
    for (const [i, name] of ['q', 'keys', 'values'].entries()) expectClose(one[i], several[i], 1e-5, name);
  });

  it('have the same bits whatever the number of rows', async () => {
    const [many] = await run(11, 'f32', oneDispatch);
    for (const rows of [1, 8]) {
      const [few] = await run(rows, 'f32', oneDispatch);
      expectSameBits(few, many.slice(0, rows * OWN), `${rows} rows`);
    }
  });

  it('are left to other kernels where weights are of several kinds', async () => {
    const recorded = await run(2, 'f32', (recorder, inputs) => {
      const weights = { ...inputs.weights, v: { ...inputs.weights.v, dtype: 'bf16' as const } };
      const { x, rope, places, cache } = inputs;
      const q = recorder.withFewRows(() => recordAttentionInputs(recorder, x, weights, rope, places, cache));
      expect([q, recorder.dispatches.length]).toEqual([undefined, 0]);
      return severalDispatches(recorder, inputs);
    });
    expect(recorded).toHaveLength(3);
  });
});
