/** What the kernel benchmark runs: operands, and forward passes at the sizes of a transformer with what they must give. */
import {
  decodeFloats,
  encodeFloats,
  type Gpu,
  makeRotaryTable,
  normalAt,
  tokenBlocks,
} from '../../src/engine.ts';
import type { Recorder } from '../../src/gpu/index.ts';
import {
  type AttentionLayout,
  allocateTensor,
  freeTensor,
  launchLinear,
  launchLinearBackwardInput,
  launchLinearBackwardWeight,
  ops,
  type Tensor,
  tapeFor,
  upload,
  whole,
} from '../../src/ops/index.ts';

/** Sizes of one transformer, by the names models give them. */
export interface Size {
  readonly name: string;
  readonly tokens: number;
  readonly hidden: number;
  readonly inner: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabulary: number;
}

/** A kernel at one shape. */
export interface Work {
  readonly name: string;
  readonly shape: string;
  /** Bytes it must move, or floating-point operations it must do, whichever limits it. */
  readonly cost: { readonly bytes: number } | { readonly flops: number };
  /** Largest difference from `expected`, as a share of the largest of them. Default 1e-4. */
  readonly tolerance?: number;
  record(recorder: Recorder): Tensor;
  /** Some elements of the result, computed in f64. */
  expected(): { readonly index: number; readonly value: number }[];
}

/** Seeded normal tensors and their values. */
export class Operands {
  readonly gpu: Gpu;
  readonly #tensors: Tensor[] = [];
  readonly #values = new Map<Tensor, Float32Array>();
  readonly #others: (() => void)[] = [];

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

  /** A matrix of f16, whose values are what was stored. */
  half(shape: readonly number[]): Tensor {
    const values = this.values(this.make(shape));
    const stored = encodeFloats(new Float32Array(values), 'F16');
    const tensor = allocateTensor(this.gpu, 'operand', shape, 'f16', 'staging');
    this.#tensors.push(tensor);
    upload(this.gpu, tensor, stored);
    this.#values.set(tensor, decodeFloats(stored, 'F16'));
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

  /** Has `free` do something besides. */
  onFree(free: () => void): void {
    this.#others.push(free);
  }

  free(): void {
    for (const free of this.#others) free();
    for (const tensor of this.#tensors) freeTensor(this.gpu, tensor);
  }
}

/** Forward products, attention and element-wise kernels. */
export function forwardWorks(bench: Operands, size: Size): Work[] {
  const { tokens: T, hidden: H, inner: I, vocabulary: V, heads, kvHeads, headDim } = size;
  const at = (text: string) => `${size.name}: ${text}`;
  const [x, w, wide, gain] = [bench.make([T, H]), bench.make([I, H]), bench.make([T, I]), bench.make([H])];
  const out = bench.make([T, I]);
  const [dx, dw] = [bench.make([T, H]), bench.make([I, H])];
  const product = { rows: T, weight: w, scale: 1, accumulate: false };
  const flops = 2 * T * H * I;
  const [X, W, Y, G] = [x, w, wide, gain].map((tensor) => bench.values(tensor));
  const head = bench.make([V, H]);
  const R = Math.min(T, 256);
  const rows = bench.make([R, H]);
  const targets = Array.from({ length: R }, (_, r) => (r * 7919) % V);
  const targetsOnGpu = bench.make([R], 'u32', targets);
  const [hiddenValues, headValues] = [bench.values(rows), bench.values(head)];
  const [q, k, v] = [heads, kvHeads, kvHeads].map((n) => bench.make([T, n * headDim]));
  const [Q, K, U] = [q, k, v].map((tensor) => bench.values(tensor));
  const layout = causalLayout(bench, T);
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
      record: (recorder) =>
        tapeFor(recorder).apply(ops.tokenLogps, [rows, head], { targets: targetsOnGpu })[0],
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
        tapeFor(recorder).apply(ops.attention, [q, k, v], { layout, heads, kvHeads, headDim })[0],
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
      record: (recorder) => tapeFor(recorder).apply(ops.rmsNorm, [x, gain], { eps: 1e-5 })[0],
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
      record: (recorder) => tapeFor(recorder).apply(ops.glu, [wide, wide], {})[0],
      expected: () => samples(T * I, (i) => (Y[i] / (1 + Math.exp(-Y[i]))) * Y[i]),
    },
    {
      name: 'rotary forward',
      shape: at(`${T} x ${heads} heads of ${headDim}`),
      cost: { bytes: 8 * T * heads * headDim },
      record: (recorder) => tapeFor(recorder).apply(ops.rotary, [q], rope)[0],
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

/** One document, in which every token sees all before it. */
export function causalLayout(bench: Operands, tokens: number): AttentionLayout {
  const visibility = Array.from({ length: tokens }, (_, i) => [0, tokens, 0, i]).flat();
  const blocks = tokenBlocks(visibility, tokens);
  return {
    visibility: bench.make([tokens, 4], 'u32', visibility),
    blocks: bench.make([blocks.length / 2, 2], 'u32', blocks),
    seen: bench.make([tokens, 2], 'u32', Array.from({ length: tokens }, (_, i) => [tokens, i]).flat()),
  };
}

/** Sixteen elements of a result of `count`, spread over it. */
export function samples(count: number, value: (index: number) => number) {
  return Array.from({ length: 16 }, (_, i) => Math.floor(((i + 0.5) * count) / 16)).map((index) => ({
    index,
    value: value(index),
  }));
}

export function inner(n: number, term: (i: number) => number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += term(i);
  return sum;
}
