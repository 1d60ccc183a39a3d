/** Linear layers over frozen weights of 8 and 4 bits. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { allocateTensor, freeTensor, type Tensor, upload, whole } from '../../src/autograd/tensor.ts';
import type { ProductVariant } from '../../src/gpu/choices.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { dequantize, GROUP, type QuantizedDType, quantize } from '../../src/models/loading/quantize.ts';
import { launchLinear, launchLinearBackwardInput } from '../../src/ops/linear/linear.ts';
import { expectClose } from '../support/close.ts';
import { openGpu } from '../support/gpu.ts';
import { record } from '../support/record.ts';
import { normals } from '../support/trainer.ts';
import { gridValues, Workbench } from '../support/workbench.ts';

const [TOKENS, OUT, INNER] = [21, 68, 128];
const dtypes = ['i8', 'nf4'] as const;
const original = Float32Array.from(normals(5, OUT * INNER), (x) => 0.02 * x);

let gpu: Gpu;
beforeAll(async () => {
  gpu = await openGpu();
});
afterEach(() => gpu.choices.clear());

describe('quantization', () => {
  it.each([
    ['i8', 0.004],
    ['nf4', 0.16],
  ] as const)('%s is off by at most %d of the largest weight of a group', (dtype, most) => {
    const { packed, scales } = quantize(original, dtype);
    const found = dequantize(packed, scales, dtype);
    for (let group = 0; group < scales.length; group++) {
      const range = [group * GROUP, (group + 1) * GROUP] as const;
      const largest = Math.max(...original.subarray(...range).map(Math.abs));
      const worst = Math.max(...found.subarray(...range).map((w, i) => Math.abs(w - original[range[0] + i])));
      expect(worst).toBeLessThanOrEqual(most * largest);
      expect(worst).toBeGreaterThan(0);
    }
  });

  it.each(dtypes)('%s keeps zeros and the largest weight of a group', (dtype) => {
    const values = new Float32Array(2 * GROUP);
    values[3] = -0.5;
    const { packed, scales } = quantize(values, dtype);
    expect([...dequantize(packed, scales, dtype)]).toEqual([...values].map((v) => v + 0));
  });
});

/** A quantized weight on the GPU; the device's bindings may cut it into shards. */
function onGpu(on: Gpu, dtype: QuantizedDType): { weight: Tensor; host: Float32Array } {
  const { packed, scales } = quantize(original, dtype);
  const scaleTensor = allocateTensor(on, 'scales', [OUT, INNER / GROUP], 'f32', 'weights');
  const weight = { ...allocateTensor(on, 'w', [OUT, INNER], dtype, 'weights'), scales: scaleTensor };
  upload(on, weight, packed);
  upload(on, scaleTensor, scales);
  return { weight, host: dequantize(packed, scales, dtype) };
}

async function products(on: Gpu, dtype: QuantizedDType, variant: ProductVariant) {
  on.choices.linear = variant;
  const bench = new Workbench(on);
  const { weight, host } = onGpu(on, dtype);
  const [x, dy] = [gridValues(1, [TOKENS, INNER]), gridValues(2, [TOKENS, OUT])];
  const residual = gridValues(3, [TOKENS, OUT]);
  const tensors = {
    x: bench.floats('x', x),
    dy: bench.floats('dy', dy),
    residual: bench.floats('residual', residual),
    y: bench.floats('y', residual),
    dx: bench.floats('dx', x),
  };
  const product = { rows: TOKENS, weight, scale: 1, accumulate: false };
  const [y, dx] = await record(on, (recorder) => {
    launchLinear(recorder, whole(tensors.x), whole(tensors.y), product, {
      added: { slice: whole(tensors.residual), isBias: false },
    });
    launchLinearBackwardInput(recorder, whole(tensors.dy), whole(tensors.dx), product);
    return [tensors.y, tensors.dx];
  });
  bench.free();
  freeTensor(on, weight);
  const sum = (count: number, term: (i: number) => number) => {
    let total = 0;
    for (let i = 0; i < count; i++) total += term(i);
    return total;
  };
  const expectedY = Float64Array.from({ length: TOKENS * OUT }, (_, i) => {
    const [t, n] = [Math.floor(i / OUT), i % OUT];
    return residual.data[i] + sum(INNER, (k) => x.data[t * INNER + k] * host[n * INNER + k]);
  });
  const expectedDx = Float64Array.from({ length: TOKENS * INNER }, (_, i) => {
    const [t, k] = [Math.floor(i / INNER), i % INNER];
    return sum(OUT, (n) => dy.data[t * OUT + n] * host[n * INNER + k]);
  });
  expectClose(y, expectedY, 1e-5, 'y');
  expectClose(dx, expectedDx, 1e-5, 'dx');
}

describe.each(dtypes)('linear over %s', (dtype) => {
  it.each(['plain', 'subgroup', 'tiled'] as const)(
    'by %s: x wᵀ + r and dy w of the weights it stands for',
    (variant) => products(gpu, dtype, variant),
  );

  it('cut into shards', async () => {
    const small = await openGpu({ maxBindingBytes: 2 ** 14 });
    await products(small, dtype, 'plain');
    small.close();
  });
});
