/** Products of a decoding step: those of the plain kernel, with the same bits whatever the number of rows. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Tensor, whole } from '../../src/autograd/tensor.ts';
import type { Recorder } from '../../src/gpu/program.ts';
import { tapeFor } from '../../src/ops/index.ts';
import { gatedLinear } from '../../src/ops/linear/gated-linear.ts';
import { linear } from '../../src/ops/linear/linear.ts';
import { loraLinear } from '../../src/ops/linear/lora-linear.ts';
import { rmsNorm } from '../../src/ops/norm/rms-norm.ts';
import { expectClose, expectSameBits } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { record } from '../support/record.ts';
import { gridValues, type HostTensor, Workbench } from '../support/workbench.ts';

const gpu = await testGpu();
const [WIDTH, COLUMNS] = [36, 44];

interface Inputs {
  readonly x: Tensor;
  readonly w: Tensor;
  readonly other: Tensor;
  readonly residual: Tensor;
  readonly a: Tensor;
  readonly b: Tensor;
  readonly norm: Tensor;
}

const products: Record<string, (inputs: Inputs, recorder: Recorder) => Tensor> = {
  'a product': ({ x, w }, recorder) => tapeFor(recorder).apply(linear, [x, w], {})[0],
  'a product with a residual': ({ x, w, residual }, recorder) =>
    tapeFor(recorder).apply(linear, [x, w, residual], {})[0],
  'a gated product': ({ x, w, other }, recorder) =>
    tapeFor(recorder).apply(gatedLinear, [x, w, other], {})[0],
  'a product with LoRA': ({ x, w, a, b }, recorder) =>
    tapeFor(recorder).apply(loraLinear, [x, w, a, b], { scale: 2 })[0],
  'a product of normed rows': ({ x, w, norm }, recorder) =>
    tapeFor(recorder).apply(linear, [normed(recorder, x, norm), w], {})[0],
  'a gated product of normed rows': ({ x, w, other, norm }, recorder) =>
    tapeFor(recorder).apply(gatedLinear, [normed(recorder, x, norm, true), w, other], {})[0],
  'a product of normed rows with LoRA': ({ x, w, a, b, norm }, recorder) =>
    tapeFor(recorder).apply(loraLinear, [normed(recorder, x, norm), w, a, b], { scale: 2 })[0],
};

function normed(recorder: Recorder, x: Tensor, weight: Tensor, unitOffset = false): Tensor {
  return tapeFor(recorder).apply(rmsNorm, [x, weight], { eps: 1e-5, unitOffset })[0];
}

async function run(product: string, rows: number, isFew: boolean, dtype: HostTensor['dtype']) {
  const bench = new Workbench(gpu);
  const floats = (seed: number, shape: readonly number[], of: HostTensor['dtype'] = 'f32') =>
    bench.floats(`input ${seed}`, { ...gridValues(seed, shape, 0.5), dtype: of });
  const inputs: Inputs = {
    x: floats(1, [rows, WIDTH]),
    w: floats(2, [COLUMNS, WIDTH], dtype),
    other: floats(3, [COLUMNS, WIDTH], dtype),
    residual: floats(4, [rows, COLUMNS]),
    a: floats(5, [4, WIDTH]),
    b: floats(6, [COLUMNS, 4]),
    norm: floats(7, [WIDTH]),
  };
  let kernels: string[] = [];
  const [y] = await record(gpu, (recorder) => {
    const made = isFew
      ? recorder.withFewRows(() => products[product](inputs, recorder))
      : products[product](inputs, recorder);
    kernels = recorder.dispatches.map(({ kernel }) => kernel);
    return [made];
  });
  expect(whole(inputs.x).byteLength).toBe(4 * rows * WIDTH);
  bench.free();
  return { y, kernels };
}

afterEach(() => gpu.choices.clear());

// CPU adapters give columns to each invocation, and share loads if they can; GPUs give a workgroup to each four columns.
const FORMS = [
  'invocation',
  'workgroup',
  ...(gpu.profile.sharesLoads ? (['subgroup'] as const) : []),
] as const;

describe.each(FORMS)('few rows, by %ss', (by) => {
  const kernel = by === 'subgroup' ? 'linear_rows_subgroup' : 'linear_rows';

  beforeEach(() => {
    gpu.choices.rows = by;
  });

  it.each(Object.keys(products))(
    '%s is that of the other kernels, whatever the number of rows',
    async (product) => {
      const many = await run(product, 19, true, 'f32');
      const linear = many.kernels.filter((name) => name.startsWith('linear_'));
      expect(new Set(linear)).toEqual(new Set([kernel]));
      expectClose(many.y, (await run(product, 19, false, 'f32')).y, 1e-5, product);
      for (const rows of [1, 8]) {
        const few = await run(product, rows, true, 'f32');
        expectSameBits(few.y, many.y.slice(0, rows * COLUMNS), `${product} of ${rows} rows`);
      }
    },
  );

  it.each(['f16', 'bf16'] as const)('take %s weights', async (dtype) => {
    // Forms that keep both products of a gated one for its gradient round them to f16.
    for (const [product, tolerance] of [
      ['a product', 1e-5],
      ['a gated product', 1e-3],
    ] as const) {
      const few = await run(product, 3, true, dtype);
      const many = await run(product, 3, false, dtype);
      expectClose(few.y, many.y, tolerance, `${product}, ${dtype}`);
    }
  });
});

describe.skipIf(!gpu.profile.sharesLoads)('norms of few rows', () => {
  const normsIn = async (product: string) => {
    const { kernels } = await run(product, 3, true, 'f32');
    return kernels.filter((kernel) => kernel === 'rms_norm_forward').length;
  };

  it('are part of small products', async () => {
    expect(await normsIn('a product of normed rows')).toBe(0);
    expect(await normsIn('a gated product of normed rows')).toBe(0);
  });

  it('are recorded once where a kernel reads them from memory', async () => {
    expect(await normsIn('a product of normed rows with LoRA')).toBe(1);
  });
});
