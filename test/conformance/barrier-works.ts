/**
 * Small works in which every workgroupBarrier() of kernels/ has something to order: several tiles one after the other, rows
 * longer than a workgroup, several rounds of one reduction. scripts/barrier-mutants.ts deletes barriers under them.
 */
import { allocateTensor, type Tensor, upload, whole } from '../../src/autograd/tensor.ts';
import { MATRIX_VARIANTS, type ProductVariant } from '../../src/gpu/choices.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import type { Recorder } from '../../src/gpu/program.ts';
import { attention } from '../../src/ops/attention/attention.ts';
import { cacheRowOf, pagedAttention } from '../../src/ops/attention/paged-attention.ts';
import { launchLinear } from '../../src/ops/linear/linear.ts';
import { isStaged16 } from '../../src/ops/linear/linear-variants.ts';
import { epsilonLogps } from '../../src/ops/logps/epsilon-logps.ts';
import { tokenLogps } from '../../src/ops/logps/token-logps.ts';
import {
  ROW_WORDS,
  recordSample,
  type SampleRow,
  seenWords,
  writeSampleRow,
} from '../../src/ops/sampling/sample.ts';
import { packedLayout } from '../ops/packed-layout.ts';
import { runOp } from '../support/check-op.ts';
import { record } from '../support/record.ts';
import { gridValues, Workbench } from '../support/workbench.ts';

export interface BarrierWork {
  readonly name: string;
  /** Files of kernels/ whose barriers it needs. */
  readonly files: readonly string[];
  /** Rounding that a mutant may explain itself by, as a share of the largest value. */
  readonly tolerance: number;
  readonly needsMatrices: boolean;
  /** What the kernels make of it. The device's choices are GPUs'. */
  run(gpu: Gpu): Promise<readonly Float32Array[]>;
}

type Make = (bench: Workbench, recorder: Recorder) => Tensor;

function recorded(make: Make) {
  return async (gpu: Gpu) => {
    const bench = new Workbench(gpu);
    const values = await record(gpu, (recorder) => [make(bench, recorder)]);
    bench.free();
    return values;
  };
}

/**
 * A document over tiles of 32 tokens, a head of two chunks, the second ragged. Of the last queries those of the first answer are
 * too far from the prompt to see it; those of the second see none of its first tile, and some of the next.
 */
function attended(differentiate: readonly number[], variant: 'tiled' | 'matrices' = 'tiled') {
  return async (gpu: Gpu) => {
    gpu.choices.attention = variant;
    const headDim = variant === 'tiled' ? 36 : 16;
    const bench = new Workbench(gpu);
    const layout = packedLayout(bench, [[60, 80, 12]]);
    const widths = [2 * headDim, headDim, headDim];
    const inputs = widths.map((width, i) => gridValues(i + 1, [152, width], 2));
    const dy = differentiate.length === 0 ? undefined : gridValues(4, [152, 2 * headDim]);
    const attributes = { heads: 2, kvHeads: 1, headDim, window: 20, layout };
    const { outputs, gradients } = await runOp(
      bench,
      attention,
      inputs,
      attributes,
      'inner',
      differentiate,
      dy,
    );
    bench.free();
    return [...outputs, ...gradients.filter((gradient) => gradient !== undefined)];
  };
}

/** The largest logit of a row lies elsewhere in each, so far above the others that exp overflows without it. */
function spikes(rows: number, columns: number): Float32Array {
  const values = Float32Array.from(gridValues(5, [rows, columns]).data);
  for (let r = 0; r < rows; r++) values[r * columns + ((r * 37 + 11) % columns)] = 150 + 10 * r;
  return values;
}

const identity = (n: number) => Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));

/** Logits [rows, 128] as the product of themselves with the identity. */
const SPIKES = [
  { shape: [12, 128], data: spikes(12, 128) },
  { shape: [128, 128], data: identity(128) },
];

const products = (variant: ProductVariant, shape: readonly [number, number, number]): Make => {
  const [T, N, K] = shape;
  return (bench, recorder) => {
    recorder.gpu.choices.linear = variant;
    const [x, y] = [gridValues(1, [T, K]), gridValues(3, [T, N])].map((t, i) => bench.floats(`t${i}`, t));
    const dtype = isStaged16(variant) ? 'bf16' : 'f32';
    const weight = bench.floats('w', { ...gridValues(2, [N, K]), dtype });
    launchLinear(recorder, whole(x), whole(y), { rows: T, weight, scale: 1, accumulate: false });
    return y;
  };
};

/** More workgroups than cores: each then finds the sums of another in the memory of its core. */
const fewRows: Make = (bench, recorder) => {
  const [x, w, y] = [
    [3, 600],
    [64, 600],
    [3, 64],
  ].map((shape, i) => bench.floats(`t${i}`, gridValues(i + 1, shape)));
  recorder.withFewRows(() =>
    launchLinear(recorder, whole(x), whole(y), { rows: 3, weight: w, scale: 1, accumulate: false }),
  );
  return y;
};

/** Two slabs of the sum, two matrices of rows. */
const fewRowsByMatrices: Make = (bench, recorder) => {
  recorder.gpu.choices.decodesOnMatrices = true;
  const [x, y] = [
    [12, 100],
    [12, 64],
  ].map((shape, i) => bench.floats(`t${i}`, gridValues(i + 1, shape)));
  const weight = bench.floats('w', { ...gridValues(3, [64, 100]), dtype: 'bf16' });
  recorder.withFewRows(() =>
    launchLinear(recorder, whole(x), whole(y), { rows: 12, weight, scale: 1, accumulate: false }),
  );
  return y;
};

const PAGED_TABLE = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7];

/** Positions behind two rounds of 64 keys, whose largest scores lie where the last invocations look. */
const paged: Make = (bench, recorder) => {
  const [q, values] = [
    [2, 64],
    [160, 32],
  ].map((shape, i) => bench.floats(`t${i}`, gridValues(i + 1, shape)));
  const data = Float32Array.from(gridValues(3, [160, 32]).data);
  const spiked = Array.from(gridValues(1, [2, 64]).data, (x) => 24 * Math.sign(x)).slice(0, 32);
  for (const token of [63, 127]) data.set(spiked, 32 * cacheRowOf(PAGED_TABLE, token, 0, 0));
  const keys = bench.floats('keys', { shape: [160, 32], data });
  const layout = {
    places: bench.indices('places', [2, 4], [150, 0, 0, 0, 90, 0, 0, 0]),
    tables: bench.indices('tables', [2, 10], [...PAGED_TABLE, ...PAGED_TABLE.toReversed()]),
  };
  const attributes = { heads: 2, kvHeads: 1, headDim: 32, layout };
  return pagedAttention.launch(recorder, [q, keys, values], attributes).outputs[0];
};

const pagedByMatrices: Make = (bench, recorder) => {
  recorder.gpu.choices.decodesOnMatrices = true;
  return paged(bench, recorder);
};

/** Rows that take every filter, with log-probs of the most probable. */
const sampled: Make = (bench, recorder) => {
  const [count, vocabulary] = [6, 300];
  const words = new Uint32Array(count * ROW_WORDS);
  for (let r = 0; r < count; r++) {
    const sampling = {
      temperature: 1.3,
      topK: r % 2 === 0 ? 40 : 0,
      topP: r % 3 === 0 ? 1 : 0.9,
      minP: 0.02,
      repetitionPenalty: 1.3,
      seed: 7,
    };
    const row: SampleRow = { sampling, sample: r % 5, position: r, slot: r, logprobs: 3 };
    writeSampleRow(words, r * ROW_WORDS, row);
  }
  const logits = bench.floats('logits', gridValues(3, [count, vocabulary], 2));
  const marks = new Uint32Array(count * seenWords(vocabulary));
  const state = {
    seen: bench.indices('seen', [count, seenWords(vocabulary)], marks),
    last: bench.indices('last', [count], new Uint32Array(count)),
  };
  return recordSample(recorder, logits, bench.indices('rows', [count, ROW_WORDS], words), state, undefined);
};

/** Bits of sampled ids and log-probs, read as whole numbers: as floats, small ids would all be 0. */
const asIntegers = (run: BarrierWork['run']) => async (gpu: Gpu) => {
  const [values] = await run(gpu);
  return [Float32Array.from(new Uint32Array(values.buffer))];
};

/** More than an adapter on the CPU has threads, each with workgroup memory of its own. */
const LAUNCHES = 128;

/**
 * The largest of a tensor lies where the last invocations look. Every launch is of smaller numbers than the one before, which
 * it would find again in workgroup memory if it looked too early.
 */
const absmax: Make = (bench, recorder) => {
  const norm = bench.floats('norm', { shape: [4], data: [0, 0, 0, 0] });
  const stride = 64;
  const records = allocateTensor(recorder.gpu, 'records', [stride * LAUNCHES], 'f32', 'state');
  upload(recorder.gpu, records, new Uint32Array(stride * LAUNCHES));
  bench.adopt(records);
  for (let i = 0; i < LAUNCHES; i++) {
    const data = Float32Array.from({ length: 640 }, (_, n) => n * (LAUNCHES - i));
    const record = { ...whole(records), byteOffset: 4 * stride * i, byteLength: 4 };
    recorder.launch({
      kernel: 'absmax',
      constants: { WORKGROUP: 256 },
      bindings: { x: whole(bench.floats(`x${i}`, { shape: [640], data })), record, norm: whole(norm) },
      grid: [1, 1],
    });
  }
  return records;
};

/** An op on logits with spikes; heads in f32, so that the products are exact. */
const logps = async (gpu: Gpu) => {
  const bench = new Workbench(gpu);
  const targets = bench.indices(
    'targets',
    [12],
    Array.from({ length: 12 }, (_, r) => 10 * r),
  );
  const { outputs } = await runOp(bench, tokenLogps, SPIKES, { targets }, 'inner', [], undefined);
  bench.free();
  return outputs;
};
const epsilons = async (gpu: Gpu) => {
  const bench = new Workbench(gpu);
  const targets = bench.indices(
    'targets',
    [12],
    Array.from({ length: 12 }, (_, r) => 10 * r),
  );
  const inputs = [...SPIKES, { shape: [12, 128], data: gridValues(8, [12, 128]).data }, SPIKES[1]];
  const attributes = { targets, epsilon: 0.1 };
  const { outputs } = await runOp(bench, epsilonLogps, inputs, attributes, 'inner', [], undefined);
  bench.free();
  return outputs;
};

const on = (
  name: string,
  files: readonly string[],
  run: BarrierWork['run'],
  tolerance = 1e-5,
): BarrierWork => {
  return { name, files, run, tolerance, needsMatrices: false };
};

export const barrierWorks: readonly BarrierWork[] = [
  on('a tiled product', ['linear/linear_tiled'], recorded(products('tiled', [70, 68, 40]))),
  on('a product of few rows', ['linear/linear_rows'], recorded(fewRows)),
  on('attention forward', ['attention/attention_forward_tiled'], attended([])),
  on(
    'attention, gradient of queries',
    [
      'attention/attention_backward_query_tiled',
      'attention/attention_gradient_tile',
      'attention/attention_tile',
    ],
    attended([0]),
  ),
  on(
    'attention, gradients of keys and values',
    ['attention/attention_backward_key_value_tiled'],
    attended([1, 2]),
  ),
  on('attention over a paged cache', ['attention/attention_paged'], recorded(paged)),
  on('log-probs of spiked logits', ['shared/rows'], logps),
  on('epsilon log-probs of spiked logits', ['shared/rows'], epsilons),
  on('sampling', ['sampling/sample', 'shared/rows'], asIntegers(recorded(sampled)), 0),
  on('the largest of a tensor', ['reduction/absmax'], recorded(absmax), 0),
  ...MATRIX_VARIANTS.map((variant) => ({
    name: `a product by ${variant}`,
    files: ['linear/linear_matrices.raw'],
    run: recorded(products(variant, [150, 96, 172])),
    tolerance: 1e-5,
    needsMatrices: true,
  })),
  {
    name: 'a product of few rows on tensor cores',
    files: ['linear/linear_rows_matrices.raw'],
    run: recorded(fewRowsByMatrices),
    tolerance: 1e-5,
    needsMatrices: true,
  },
  {
    name: 'attention over a paged cache on tensor cores',
    files: ['attention/attention_paged_matrices.raw'],
    run: recorded(pagedByMatrices),
    tolerance: 1e-5,
    needsMatrices: true,
  },
  {
    name: 'attention forward on tensor cores',
    files: ['attention/attention_forward_matrices.raw', 'attention/attention_matrix_tile'],
    run: attended([], 'matrices'),
    tolerance: 1e-5,
    needsMatrices: true,
  },
  {
    name: 'attention on tensor cores, gradient of queries',
    files: ['attention/attention_backward_query_matrices.raw'],
    run: attended([0], 'matrices'),
    tolerance: 1e-5,
    needsMatrices: true,
  },
  {
    name: 'attention on tensor cores, gradients of keys and values',
    files: ['attention/attention_backward_key_value_matrices.raw'],
    run: attended([1, 2], 'matrices'),
    tolerance: 1e-5,
    needsMatrices: true,
  },
];
