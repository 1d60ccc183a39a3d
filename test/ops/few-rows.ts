/** Products of few rows, and the forms in which adapters take them. */
import { expect } from 'vitest';
import { type Tensor, whole } from '../../src/autograd/tensor.ts';
import type { Recorder } from '../../src/gpu/program.ts';
import { tapeFor } from '../../src/ops/index.ts';
import { gatedLinear } from '../../src/ops/linear/gated-linear.ts';
import { linear } from '../../src/ops/linear/linear.ts';
import { loraLinear } from '../../src/ops/linear/lora-linear.ts';
import { rmsNorm } from '../../src/ops/norm/rms-norm.ts';
import { expectClose } from '../support/close.ts';
import { testGpu } from '../support/gpu.ts';
import { record } from '../support/record.ts';
import { gridValues, type HostTensor, Workbench } from '../support/workbench.ts';

const gpu = await testGpu();
const WIDTH = 36;
export const COLUMNS = 44;

interface Inputs {
  readonly x: Tensor;
  readonly w: Tensor;
  readonly other: Tensor;
  readonly residual: Tensor;
  readonly a: Tensor;
  readonly b: Tensor;
  readonly norm: Tensor;
}

export const products: Record<string, (inputs: Inputs, recorder: Recorder) => Tensor> = {
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

/** The product of `rows` rows by the kernels of a decoding step, or by the usual ones, and which ran. */
export async function run(product: string, rows: number, isFew: boolean, dtype: HostTensor['dtype']) {
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

/** CPU adapters give columns to each invocation, and share loads if they can; GPUs give a workgroup to each four columns. */
export const FORMS = [
  'invocation',
  'workgroup',
  ...(gpu.profile.sharesLoads ? (['subgroup'] as const) : []),
] as const;

/** Weights of 16 bits give what the usual kernels give. */
export async function expectWeightsOf(dtype: 'f16' | 'bf16'): Promise<void> {
  // Forms that keep both products of a gated one for its gradient round them to f16.
  for (const [product, tolerance] of [
    ['a product', 1e-5],
    ['a gated product', 1e-3],
  ] as const) {
    const few = await run(product, 3, true, dtype);
    const many = await run(product, 3, false, dtype);
    expectClose(few.y, many.y, tolerance, `${product}, ${dtype}`);
  }
}
