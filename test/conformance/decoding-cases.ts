/** Decoding steps on tensor cores: what the plain kernels give, to rounding, and the same bits for a row in any batch. */
import { whole } from '../../src/autograd/tensor.ts';
import { Engine } from '../../src/generate/engine.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { loadModel } from '../../src/models/loading/load.ts';
import type { AttentionShape } from '../../src/ops/attention/attention.ts';
import { tapeFor } from '../../src/ops/index.ts';
import { gatedLinear } from '../../src/ops/linear/gated-linear.ts';
import { launchLinear } from '../../src/ops/linear/linear.ts';
import { all, requests, SAMPLED } from '../generate/answers.ts';
import { attendPaged, LONG } from '../ops/paged-rows.ts';
import { expectClose, expectSameBits } from '../support/close.ts';
import { record } from '../support/record.ts';
import { runTurned } from '../support/turned.ts';
import { gridValues } from '../support/workbench.ts';
import { expectNear, type Make, Operands, productValues, quantized, withBias } from './by-matrices.ts';
import type { ConformanceCase } from './case.ts';

const group = '16-bit';

/** What `make` makes in a decoding step on tensor cores. */
async function decoded<T>(gpu: Gpu, make: () => Promise<T>): Promise<T> {
  Object.assign(gpu.choices, { decodesOnMatrices: true, rows: 'workgroup' });
  try {
    return await make();
  } finally {
    gpu.choices.clear();
  }
}

/** As a decoding step records it; throws where another kernel made it. */
const asStep =
  (make: Make): Make =>
  (o, recorder) => {
    const y = recorder.withFewRows(() => make(o, recorder));
    for (const { kernel } of recorder.dispatches)
      if (kernel !== 'linear_rows_matrices') throw new Error(`${kernel} made it.`);
    return y;
  };

/** The first batch against the plain product of as many rows; those after it have its bits, and so has it with sizes as constants, or as data. */
function product(
  name: string,
  [N, K]: readonly [number, number],
  batches: readonly number[],
  make: Make,
): ConformanceCase {
  return {
    group,
    name: `decoding on tensor cores: ${name}`,
    async run({ gpu }) {
      const found = await decoded(gpu, async () => {
        const values: Float32Array[] = [];
        for (const rows of batches) values.push(...(await productValues(gpu, [rows, N, K], asStep(make))));
        gpu.choices.sizedProducts = !gpu.profile.sizesMatrices;
        return [...values, ...(await productValues(gpu, [batches[0], N, K], asStep(make)))];
      });
      gpu.choices.linear = 'plain';
      const [expected] = await productValues(gpu, [batches[0], N, K], make);
      gpu.choices.clear();
      expectNear(found[0], expected, name);
      found.forEach((values, i) => {
        const alike = Math.min(values.length, found[0].length);
        expectSameBits(
          values.subarray(0, alike),
          found[0].subarray(0, alike),
          `${batches[i] ?? 'otherwise sized, all'} rows`,
        );
      });
    },
  };
}

/** A product with a LoRA pair of rank 8, in the dtype of the name, and a residual. */
const withPair =
  (dtype: 'i8' | 'nf4'): Make =>
  (o, recorder) => {
    const { T, N, K } = o.size;
    const y = o.make('y', [T, N]);
    const lowRank = { own: whole(o.make('low', [T, 8])), other: o.make('other', [N, 8], 'bf16') };
    const added = { slice: whole(o.make('r', [T, N])), isBias: false };
    const sizes = { rows: T, weight: quantized(o, dtype), scale: 1, accumulate: false };
    launchLinear(recorder, whole(o.make('x', [T, K])), whole(y), sizes, { lowRank, added });
    return y;
  };

const gated: Make = (o, recorder) => {
  const { T, N, K } = o.size;
  const [x, gate, up] = [o.make('x', [T, K]), o.make('gate', [N, K], 'f16'), o.make('up', [N, K], 'f16')];
  return tapeFor(recorder).apply(gatedLinear, [x, gate, up], {})[0];
};

const turned: ConformanceCase = {
  group,
  name: 'decoding on tensor cores: heads turned in the epilogue',
  run: ({ gpu }) =>
    decoded(gpu, async () => {
      const { turned, apart, kernels } = await runTurned(gpu, {
        rows: 9,
        heads: 3,
        headDim: 64,
        inner: 172,
        weightOf: (bench, shape) => bench.floats('w', { ...gridValues(2, shape), dtype: 'bf16' }),
        bias: true,
        few: true,
      });
      if (`${kernels}` !== 'linear_rows_matrices') throw new Error(`${kernels} made it.`);
      expectSameBits(turned, apart, 'turned product');
    }),
};

const wide: ConformanceCase = {
  group,
  name: 'decoding on tensor cores: weights in f32 are not rounded to 16 bits',
  run: ({ gpu }) =>
    decoded(gpu, async () => {
      const o = new Operands(gpu, [3, 8, 16]);
      await record(gpu, (recorder) => {
        const y = o.make('y', [3, 8]);
        const sizes = { rows: 3, weight: o.make('w', [8, 16]), scale: 1, accumulate: false };
        recorder.withFewRows(() => launchLinear(recorder, whole(o.make('x', [3, 16])), whole(y), sizes));
        const [{ kernel }] = recorder.dispatches;
        if (kernel !== 'linear_rows') throw new Error(`${kernel} made it.`);
        return [y];
      });
      o.bench.free();
    }),
};

/** Three sequences over several tiles of keys, one behind a shared prefix; each has the same bits alone. */
function attended(name: string, shape: AttentionShape, sequences?: typeof LONG): ConformanceCase {
  return {
    group,
    name: `decoding on tensor cores: attention, ${name}`,
    run: ({ gpu }) =>
      decoded(gpu, async () => {
        const { y, expected, kernels } = await attendPaged(gpu, shape, [0, 1, 2], sequences);
        if (kernels[0] !== 'attention_paged_matrices') throw new Error(`${kernels} made it.`);
        expectNear(y, expected, name);
        const width = shape.heads * shape.headDim;
        for (const r of [0, 1, 2]) {
          const alone = await attendPaged(gpu, shape, [r], sequences);
          expectSameBits(alone.y, y.slice(r * width, (r + 1) * width), `row ${r} alone`);
        }
      }),
  };
}

const attentions = [
  attended('two heads to a head of keys', { heads: 4, kvHeads: 2, headDim: 16 }),
  attended('a window and a cap', { heads: 4, kvHeads: 2, headDim: 16, window: 10, softcap: 5, scale: 0.2 }),
  attended('more heads to a head of keys than a matrix has rows', { heads: 24, kvHeads: 1, headDim: 16 }),
  attended('chunks of long texts', { heads: 12, kvHeads: 1, headDim: 16 }, LONG),
  attended('chunks and a window', { heads: 2, kvHeads: 1, headDim: 16, window: 1100, softcap: 5 }, LONG),
  ...[64, 96, 128, 256].map((headDim) => attended(`heads of ${headDim}`, { heads: 4, kvHeads: 1, headDim })),
];

const generation: ConformanceCase = {
  group,
  name: 'decoding on tensor cores: a text has the same bits alone, in company and by a LoRA adapter that is still 0',
  async run({ gpu }) {
    const train = {
      r: 8,
      alpha: 16,
      targetModules: ['q_proj', 'k_proj', 'v_proj', 'gate_proj', 'down_proj'],
    };
    const options = { train, dtype: 'bf16', positions: 128 } as const;
    const loaded = await loadModel(gpu, 'examples/stories260K', options);
    const asked = requests(SAMPLED).slice(0, 4);
    const generated = async (maxSequences: number, adapter = false) => {
      const engine = new Engine(gpu, loaded.model, { maxSequences, maxPositions: 128, adapter });
      const found = await all(engine, asked);
      await engine.close();
      return found;
    };
    try {
      const alone = await decoded(gpu, () => generated(1));
      const together = await decoded(gpu, () => generated(4));
      const adapted = await decoded(gpu, () => generated(4, true));
      for (const others of [together, adapted])
        if (JSON.stringify(others) !== JSON.stringify(alone)) throw new Error('Texts or log-probs differ.');
      const logprobs = (of: typeof alone) => of.map(([{ scored }]) => scored[0]?.logprob ?? Number.NaN);
      const otherwise = await generated(4);
      expectClose(logprobs(alone), logprobs(otherwise), 1e-2, 'log-probs of first tokens');
      if (`${logprobs(alone)}` === `${logprobs(otherwise)}`) throw new Error('Other kernels made the text.');
    } finally {
      loaded.free();
    }
  },
};

export const decodingCases: readonly ConformanceCase[] = [
  product('x wᵀ and a bias, bf16, of 40 rows and fewer', [100, 172], [40, 20, 9, 3, 1], withBias('bf16')),
  product('x wᵀ, 8 bits, with a pair and a residual', [68, 128], [3, 40], withPair('i8')),
  product('x wᵀ, 4 bits, with a pair and a residual', [68, 128], [20], withPair('nf4')),
  product('silu(gate) up, f16', [68, 64], [3], gated),
  turned,
  wide,
  ...attentions,
  generation,
];
