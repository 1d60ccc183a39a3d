/** Every kernel: checked, then timed beside this adapter's own limit, a copy for what moves bytes, its best product for the rest. */
import { readFileSync } from 'node:fs';
import {
  allocateTensor,
  download,
  freeTensor,
  type Tensor,
  upload,
  whole,
} from '../../src/autograd/tensor.ts';
import { normalAt } from '../../src/data/random.ts';
import { tokenBlocks } from '../../src/data/token-blocks.ts';
import { bufferOf, Gpu } from '../../src/gpu/device.ts';
import { Program, type Recorder } from '../../src/gpu/program.ts';
import { makeRotaryTable } from '../../src/nn/rotary-table.ts';
import { attention } from '../../src/ops/attention.ts';
import { tapeFor } from '../../src/ops/index.ts';
import { launchLinear, launchLinearBackwardInput, launchLinearBackwardWeight } from '../../src/ops/linear.ts';
import { rmsNorm } from '../../src/ops/rms-norm.ts';
import { rotary } from '../../src/ops/rotary.ts';
import { swiglu } from '../../src/ops/swiglu.ts';
import { tokenLogps } from '../../src/ops/token-logps.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { type Row, reportOf } from '../report.ts';
import { median, pairedRatio, takeTurns } from '../timing.ts';

/** Sizes of one transformer, by the names models give them. */
interface Size {
  readonly name: string;
  readonly tokens: number;
  readonly hidden: number;
  readonly inner: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabulary: number;
}

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

/** A kernel at one shape. */
interface Work {
  readonly name: string;
  readonly shape: string;
  /** Bytes it must move, or floating-point operations it must do, whichever limits it. */
  readonly cost: { readonly bytes: number } | { readonly flops: number };
  record(recorder: Recorder): Tensor;
  /** Some elements of the result, computed in f64. */
  expected(): { readonly index: number; readonly value: number }[];
}

const ROUNDS = { quick: 3, full: 9 } as const;

export async function benchKernels(runtime: Runtime, quick: boolean) {
  const tile16 = readFileSync(new URL('./matmul_tile16.wgsl', import.meta.url), 'utf8');
  const kernelSources = async () => ({ ...(await runtime.kernelSources()), 'matmul_tile16.wgsl': tile16 });
  const gpu = await Gpu.open({ ...runtime, kernelSources });
  try {
    const rounds = quick ? ROUNDS.quick : ROUNDS.full;
    const rows: Row[] = [];
    for (const edge of gpu.isCpu ? [512, ...(quick ? [] : [1024])] : [1024, 2048, 4096])
      rows.push(await matmulAgainstTile(gpu, edge, rounds));
    const gemm = Math.max(...rows.map((row) => flopsOf(row) / row.ours_ms));
    const sizes = gpu.isCpu ? CPU_SIZES : GPU_SIZES;
    for (const size of quick ? sizes.slice(0, 1) : sizes) {
      const bench = new Operands(gpu);
      for (const work of worksOf(bench, size)) rows.push(await againstLimit(gpu, work, gemm, rounds));
      bench.free();
    }
    return reportOf(gpu, rows);
  } finally {
    gpu.close();
  }
}

function flopsOf({ shape }: Row): number {
  return 2 * Number(shape.split(' ')[0]) ** 3;
}

/** Seeded normal tensors and their values. */
class Operands {
  readonly gpu: Gpu;
  readonly #tensors: Tensor[] = [];
  readonly #values = new Map<Tensor, Float32Array>();

  constructor(gpu: Gpu) {
    this.gpu = gpu;
  }

  make(shape: readonly number[], dtype: 'f32' | 'u32' = 'f32', values?: ArrayLike<number>): Tensor {
    const tensor = allocateTensor(this.gpu, 'operand', shape, dtype, 'staging');
    this.#tensors.push(tensor);
    const count = shape.reduce((a, b) => a * b, 1);
    const seed = this.#tensors.length;
    if (dtype === 'u32') upload(this.gpu, tensor, Uint32Array.from(values ?? []));
    else {
      // A period keeps the making of large tensors from taking longer than the benchmark.
      const period = Float32Array.from({ length: Math.min(count, 65521) }, (_, i) => normalAt(seed, 0, i));
      const data = Float32Array.from({ length: count }, (_, i) => period[i % period.length]);
      upload(this.gpu, tensor, data);
      this.#values.set(tensor, data);
    }
    return tensor;
  }

  values(tensor: Tensor): Float32Array {
    const values = this.#values.get(tensor);
    if (values === undefined) throw new RangeError(`${tensor.label} has no values here.`);
    return values;
  }

  adopt(tensor: Tensor): void {
    this.#tensors.push(tensor);
  }

  free(): void {
    for (const tensor of this.#tensors) freeTensor(this.gpu, tensor);
  }
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
  return {
    work: 'matmul f32',
    shape: `${edge} x ${edge} x ${edge}`,
    ours_ms,
    peer: 'tile16',
    peer_ms: median(times.tile16),
    ratio: ratio.median,
    checked,
    note: `${((2 * edge ** 3) / ours_ms / 1e6).toFixed(1)} GFLOP/s; ratio in [${ratio.low.toFixed(2)}, ${ratio.high.toFixed(2)}]`,
  };
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
    samples.every(({ index, value }) => Math.abs(values[index] - value) <= 1e-4 * scale);
  const ours = contender(gpu, 'ours', program);
  const shared = { work: work.name, shape: work.shape, checked };
  if ('flops' in work.cost) {
    const times = await takeTurns([ours], rounds);
    program.free();
    const ours_ms = median(times.ours);
    const peer_ms = work.cost.flops / gemm;
    const note = `${(work.cost.flops / ours_ms / 1e6).toFixed(1)} GFLOP/s; ${spread(times.ours)}`;
    return { ...shared, ours_ms, peer: 'gemm-limit', peer_ms, ratio: peer_ms / ours_ms, note };
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
  return { ...shared, ours_ms, peer: 'copy-limit', peer_ms: median(times.copy), ratio: ratio.median, note };
}

function spread(times: readonly number[]): string {
  return `${Math.min(...times).toFixed(2)} to ${Math.max(...times).toFixed(2)} ms`;
}

function worksOf(bench: Operands, size: Size): Work[] {
  const { tokens: T, hidden: H, inner: I, vocabulary: V, heads, kvHeads, headDim } = size;
  const at = (text: string) => `${size.name}: ${text}`;
  const [x, w, wide, gain] = [bench.make([T, H]), bench.make([I, H]), bench.make([T, I]), bench.make([H])];
  const out = bench.make([T, I]);
  const [dx, dw] = [bench.make([T, H]), bench.make([I, H])];
  const product = { rows: T, weight: w, scale: 1, accumulate: false };
  const flops = 2 * T * H * I;
  const [X, W, Y, G] = [x, w, wide, gain].map((tensor) => bench.values(tensor));
  const samples = (count: number, value: (index: number) => number) =>
    Array.from({ length: 16 }, (_, i) => Math.floor(((i + 0.5) * count) / 16)).map((index) => ({
      index,
      value: value(index),
    }));
  const inner = (n: number, term: (i: number) => number) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += term(i);
    return sum;
  };
  const head = bench.make([V, H]);
  const R = Math.min(T, 256);
  const rows = bench.make([R, H]);
  const targets = Array.from({ length: R }, (_, r) => (r * 7919) % V);
  const targetsOnGpu = bench.make([R], 'u32', targets);
  const [hiddenValues, headValues] = [bench.values(rows), bench.values(head)];
  const [q, k, v] = [heads, kvHeads, kvHeads].map((n) => bench.make([T, n * headDim]));
  const [Q, K, U] = [q, k, v].map((tensor) => bench.values(tensor));
  const sight = Array.from({ length: T }, (_, i) => [0, T, 0, i]).flat();
  const blocks = tokenBlocks(sight, T);
  const layout = {
    sight: bench.make([T, 4], 'u32', sight),
    blocks: bench.make([blocks.length / 2, 2], 'u32', blocks),
    seen: bench.make([T, 2], 'u32', Array.from({ length: T }, (_, i) => [T, i]).flat()),
  };
  const made = makeRotaryTable(bench.gpu, T, headDim, 10000, undefined);
  bench.adopt(made.table);
  const rope = {
    ...made,
    headDim,
    positions: bench.make(
      [T],
      'u32',
      Array.from({ length: T }, (_, i) => i),
    ),
  };
  return [
    {
      name: 'linear forward',
      shape: at(`${T} x ${H} -> ${I}`),
      cost: { flops },
      record: (recorder) => {
        launchLinear(recorder, whole(x), whole(out), product);
        return out;
      },
      expected: () =>
        samples(T * I, (i) => inner(H, (h) => X[Math.floor(i / I) * H + h] * W[(i % I) * H + h])),
    },
    {
      name: 'linear backward, input',
      shape: at(`${T} x ${I} -> ${H}`),
      cost: { flops },
      record: (recorder) => {
        launchLinearBackwardInput(recorder, whole(wide), whole(dx), product);
        return dx;
      },
      expected: () =>
        samples(T * H, (i) => inner(I, (n) => Y[Math.floor(i / H) * I + n] * W[n * H + (i % H)])),
    },
    {
      name: 'linear backward, weight',
      shape: at(`${I} x ${T} -> ${H}`),
      cost: { flops },
      record: (recorder) => {
        launchLinearBackwardWeight(recorder, whole(wide), whole(x), { ...product, weight: dw });
        return dw;
      },
      expected: () =>
        samples(I * H, (i) => inner(T, (t) => Y[t * I + Math.floor(i / H)] * X[t * H + (i % H)])),
    },
    {
      name: 'token log-probs forward',
      shape: at(`${R} x ${H} -> ${V}`),
      cost: { flops: 2 * R * H * V },
      record: (recorder) => tapeFor(recorder).apply(tokenLogps, [rows, head], { targets: targetsOnGpu })[0],
      expected: () =>
        samples(R, (r) => {
          const logits = Array.from({ length: V }, (_, n) =>
            inner(H, (h) => hiddenValues[r * H + h] * headValues[n * H + h]),
          );
          const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
          return logits[targets[r]] - largest - Math.log(inner(V, (n) => Math.exp(logits[n] - largest)));
        }).slice(0, 2),
    },
    {
      name: 'attention forward',
      shape: at(`${T} tokens, ${heads}/${kvHeads} heads of ${headDim}`),
      cost: { flops: 2 * T * T * heads * headDim },
      record: (recorder) =>
        tapeFor(recorder).apply(attention, [q, k, v], { layout, heads, kvHeads, headDim })[0],
      expected: () =>
        samples(T * heads * headDim, (i) => {
          const [t, h, d] = [Math.floor(i / (heads * headDim)), Math.floor(i / headDim) % heads, i % headDim];
          const own = Math.floor(h / (heads / kvHeads));
          const key = (s: number, e: number) => s * kvHeads * headDim + own * headDim + e;
          const scores = Array.from(
            { length: t + 1 },
            (_, s) =>
              inner(headDim, (e) => Q[(t * heads + h) * headDim + e] * K[key(s, e)]) / Math.sqrt(headDim),
          );
          const largest = Math.max(...scores);
          const weights = scores.map((s) => Math.exp(s - largest));
          return inner(t + 1, (s) => weights[s] * U[key(s, d)]) / inner(t + 1, (s) => weights[s]);
        }),
    },
    {
      name: 'rms norm forward',
      shape: at(`${T} x ${H}`),
      cost: { bytes: 8 * T * H },
      record: (recorder) => tapeFor(recorder).apply(rmsNorm, [x, gain], { eps: 1e-5 })[0],
      expected: () =>
        samples(T * H, (i) => {
          const row = Math.floor(i / H) * H;
          return (X[i] * G[i % H]) / Math.sqrt(inner(H, (h) => X[row + h] ** 2) / H + 1e-5);
        }),
    },
    {
      name: 'swiglu forward',
      shape: at(`${T} x ${I}`),
      cost: { bytes: 12 * T * I },
      record: (recorder) => tapeFor(recorder).apply(swiglu, [wide, wide], {})[0],
      expected: () => samples(T * I, (i) => (Y[i] / (1 + Math.exp(-Y[i]))) * Y[i]),
    },
    {
      name: 'rotary forward',
      shape: at(`${T} x ${heads} heads of ${headDim}`),
      cost: { bytes: 8 * T * heads * headDim },
      record: (recorder) => tapeFor(recorder).apply(rotary, [q], rope)[0],
      expected: () =>
        samples(T * heads * headDim, (i) => {
          const [t, d, half] = [Math.floor(i / (heads * headDim)), i % headDim, headDim / 2];
          const angle = t / 10000 ** ((2 * (d % half)) / headDim);
          const other = d < half ? -Q[i + half] : Q[i - half];
          return Q[i] * Math.cos(angle) + other * Math.sin(angle);
        }),
    },
  ];
}
