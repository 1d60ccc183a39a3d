/** Every kernel: checked, then timed beside this adapter's own limit, a copy for what moves bytes, its best product for the rest. */

import { readFileSync } from 'node:fs';
import { Gpu } from '../../src/engine.ts';
import { bufferOf, type ProductVariant, Program } from '../../src/gpu/index.ts';
import type { Runtime } from '../../src/index.ts';
import { download, isStaged16, launchLinear, type Tensor, variantsFor, whole } from '../../src/ops/index.ts';
import { measured, type Row, reportOf } from '../report.ts';
import { median, pairedRatio, takeTurns } from '../timing.ts';
import { backwardWorks } from './backward-works.ts';
import { decodingWorks } from './decoding-works.ts';
import { forwardWorks, inner, Operands, type Size, samples, type Work } from './forward-works.ts';

const CPU_SIZES: readonly Size[] = [
  {
    name: 'stories260K',
    tokens: 1024,
    hidden: 64,
    inner: 172,
    heads: 8,
    kvHeads: 4,
    headDim: 8,
    vocabulary: 512,
  },
  { name: '5M', tokens: 256, hidden: 256, inner: 688, heads: 8, kvHeads: 4, headDim: 32, vocabulary: 4096 },
];
const GPU_SIZES: readonly Size[] = [
  {
    name: 'Llama-3.2-1B',
    tokens: 4096,
    hidden: 2048,
    inner: 8192,
    heads: 32,
    kvHeads: 8,
    headDim: 64,
    vocabulary: 128256,
  },
  {
    name: 'Llama-3-8B',
    tokens: 4096,
    hidden: 4096,
    inner: 14336,
    heads: 32,
    kvHeads: 8,
    headDim: 128,
    vocabulary: 128256,
  },
  {
    name: 'Gemma-2-2B',
    tokens: 4096,
    hidden: 2304,
    inner: 9216,
    heads: 8,
    kvHeads: 4,
    headDim: 256,
    vocabulary: 256000,
  },
];

const ROUNDS = { quick: 3, full: 9 } as const;

/** @param only 'products' or 'models', the other kernels at the shapes of models; default both */
export async function benchKernels(runtime: Runtime, quick: boolean, only?: string) {
  const tile16 = readFileSync(new URL('./matmul_tile16.wgsl', import.meta.url), 'utf8');
  const kernelSources = async () => ({ ...(await runtime.kernelSources()), 'matmul_tile16.wgsl': tile16 });
  const gpu = await Gpu.open({ ...runtime, kernelSources });
  try {
    const rounds = quick ? ROUNDS.quick : ROUNDS.full;
    const products: Row[] = [];
    for (const edge of gpu.isCpu ? [512, ...(quick ? [] : [1024])] : [1024, 2048, 4096])
      products.push(await matmulAgainstTile(gpu, edge, rounds));
    const gemm = Math.max(...products.map((row) => flopsOf(row) / row.ours_ms));
    if (only !== 'models')
      for (const edge of gpu.isCpu ? [512] : [2048, 4096])
        products.push(...(await halfMatmuls(gpu, edge, gemm, rounds)));
    const rows = only === 'products' ? products : [...products, ...(await modelKernels(gpu, quick, gemm))];
    return reportOf(gpu, rows);
  } finally {
    gpu.close();
  }
}

async function modelKernels(gpu: Gpu, quick: boolean, gemm: number): Promise<Row[]> {
  const rows: Row[] = [];
  const sizes = gpu.isCpu ? CPU_SIZES : GPU_SIZES;
  for (const size of quick ? sizes.slice(0, 1) : sizes) {
    const bench = new Operands(gpu);
    const works = [forwardWorks, backwardWorks, decodingWorks].flatMap((worksOf) => worksOf(bench, size));
    for (const work of works)
      rows.push(await againstLimit(gpu, work, gemm, quick ? ROUNDS.quick : ROUNDS.full));
    bench.free();
  }
  return rows;
}

function flopsOf({ shape }: Row): number {
  return 2 * Number(shape.split(' ')[0]) ** 3;
}

async function matmulAgainstTile(gpu: Gpu, edge: number, rounds: number): Promise<Row> {
  const bench = new Operands(gpu);
  const [x, w, y, z] = [1, 2, 3, 4].map(() => bench.make([edge, edge]));
  const ours = await Program.build(gpu, 'ours', (recorder) =>
    launchLinear(recorder, whole(x), whole(y), { rows: edge, weight: w, scale: 1, accumulate: false }),
  );
  const tile = await Program.build(gpu, 'tile16', (recorder) =>
    recorder.dispatch({
      label: 'matmul_tile16',
      kernel: 'matmul_tile16',
      overrides: { N: edge, K: edge },
      bindings: [x, w, z].map(whole),
      grid: [edge / 16, edge / 16],
    }),
  );
  ours.run();
  tile.run();
  const [a, b] = [await download(gpu, y), await download(gpu, z)];
  const checked = a.every((value, i) => Math.abs(value - b[i]) <= 1e-4 * Math.sqrt(edge));
  const times = await takeTurns([contender(gpu, 'ours', ours), contender(gpu, 'tile16', tile)], rounds);
  bench.free();
  const ratio = pairedRatio(times.tile16, times.ours);
  const ours_ms = median(times.ours);
  return measured({
    work: 'matmul f32',
    shape: `${edge} x ${edge} x ${edge}`,
    ours_ms,
    peer: 'tile16',
    peer_ms: median(times.tile16),
    ratio: ratio.median,
    checked,
    note: `${((2 * edge ** 3) / ours_ms / 1e6).toFixed(1)} GFLOP/s; ratio in [${ratio.low.toFixed(2)}, ${ratio.high.toFixed(2)}]`,
  });
}

/** Products with weights in f16, by every kernel that this adapter has for them. */
async function halfMatmuls(gpu: Gpu, edge: number, gemm: number, rounds: number): Promise<Row[]> {
  const bench = new Operands(gpu);
  const [x, w, y] = [bench.make([edge, edge]), bench.half([edge, edge]), bench.make([edge, edge])];
  const [X, W] = [x, w].map((tensor) => bench.values(tensor));
  const rows: Row[] = [];
  // On a CPU adapter, tiles in workgroup memory take half a minute.
  const isRun = (variant: ProductVariant) => !gpu.isCpu || ['subgroup', 'plain'].includes(variant);
  const shape = {
    orientation: 'FORWARD',
    tokens: edge,
    weight: w,
    shard: w.shards[0],
    stored: w.dtype,
  } as const;
  for (const variant of variantsFor(gpu, shape).filter(isRun)) {
    gpu.choices.linear = variant;
    const work: Work = {
      name: `matmul, weights in f16, ${variant}`,
      shape: `${edge} x ${edge} x ${edge}`,
      cost: { flops: 2 * edge ** 3 },
      // Staged in f16, both operands lose digits.
      tolerance: isStaged16(variant) ? 4e-3 : undefined,
      record: (recorder) => {
        launchLinear(recorder, whole(x), whole(y), { rows: edge, weight: w, scale: 1, accumulate: false });
        return y;
      },
      expected: () =>
        samples(edge * edge, (i) =>
          inner(edge, (k) => X[Math.floor(i / edge) * edge + k] * W[(i % edge) * edge + k]),
        ),
    };
    rows.push(await againstLimit(gpu, work, gemm, rounds));
  }
  gpu.choices.linear = undefined;
  bench.free();
  return rows;
}

function contender(gpu: Gpu, name: string, program: Program) {
  return {
    name,
    run: async () => {
      program.run();
      await gpu.settle();
    },
  };
}

/** @param gemm floating-point operations per millisecond of the best product */
async function againstLimit(gpu: Gpu, work: Work, gemm: number, rounds: number): Promise<Row> {
  let result: Tensor | undefined;
  const program = await Program.build(gpu, work.name, (recorder) => {
    result = work.record(recorder);
    for (const { storage } of result.shards) recorder.keep(storage);
  });
  if (result === undefined) throw new RangeError(`${work.name} gave no result.`);
  program.run();
  const values = await download(gpu, result);
  const samples = work.expected();
  const scale = Math.max(1e-3, ...samples.map(({ value }) => Math.abs(value)));
  const checked =
    samples.length > 0 &&
    samples.every(({ index, value }) => Math.abs(values[index] - value) <= (work.tolerance ?? 1e-4) * scale);
  const ours = contender(gpu, 'ours', program);
  const shared = { work: work.name, shape: work.shape, checked };
  if ('flops' in work.cost) {
    const times = await takeTurns([ours], rounds);
    program.free();
    const ours_ms = median(times.ours);
    const peer_ms = work.cost.flops / gemm;
    const note = `${(work.cost.flops / ours_ms / 1e6).toFixed(1)} GFLOP/s; ${spread(times.ours)}`;
    return measured({ ...shared, ours_ms, peer: 'gemm-limit', peer_ms, ratio: peer_ms / ours_ms, note });
  }
  // A copy reads and writes, so half the bytes in one buffer move as many.
  const half = Math.ceil(work.cost.bytes / 8) * 4;
  const [from, to] = [0, 1].map(() => gpu.memory.allocate('copy', half, 'staging'));
  const copy = async () => {
    const encoder = gpu.device.createCommandEncoder();
    encoder.copyBufferToBuffer(bufferOf(from), 0, bufferOf(to), 0, half);
    gpu.device.queue.submit([encoder.finish()]);
    await gpu.settle();
  };
  const times = await takeTurns([ours, { name: 'copy', run: copy }], rounds);
  for (const storage of [from, to]) gpu.memory.free(storage);
  program.free();
  const ours_ms = median(times.ours);
  const ratio = pairedRatio(times.copy, times.ours);
  const note = `${(work.cost.bytes / ours_ms / 1e6).toFixed(2)} GB/s; ${spread(times.ours)}`;
  return measured({
    ...shared,
    ours_ms,
    peer: 'copy-limit',
    peer_ms: median(times.copy),
    ratio: ratio.median,
    note,
  });
}

function spread(times: readonly number[]): string {
  return `${Math.min(...times).toFixed(2)} to ${Math.max(...times).toFixed(2)} ms`;
}
