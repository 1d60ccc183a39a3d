/** Gradients, with the forward pass that they need, and the optimizer. */

import { Optimizer, ParameterSlabs, updateRule } from '../../src/engine.ts';
import type { Recorder } from '../../src/gpu/index.ts';
import { type Op, ops, type Tensor, tapeFor, upload, Workspace } from '../../src/ops/index.ts';
import { causalLayout, inner, type Operands, type Size, samples, type Work } from './forward-works.ts';

export function backwardWorks(bench: Operands, size: Size): Work[] {
  return [
    logps(bench, size),
    attentionBackward(bench, size),
    rmsNormBackward(bench, size),
    swigluBackward(bench, size),
    optimizer(bench, size),
  ];
}

/** Forward, and back to all inputs in `wanted`, of which the first is what comes out. */
function gradient<Attributes>(
  op: Op<Attributes>,
  inputs: readonly Tensor[],
  attributes: Attributes,
  dy: Tensor,
  wanted: readonly number[],
): Work['record'] {
  return (recorder: Recorder) => {
    const tape = tapeFor(recorder);
    const leaves = inputs.map((tensor, i) => ({ ...tensor, requiresGrad: wanted.includes(i) }));
    tape.backward(tape.apply(op, leaves, attributes)[0], dy);
    const result = tape.gradientOf(leaves[wanted[0]]);
    if (result === undefined) throw new RangeError(`${op.name} passed no gradient on.`);
    return result;
  };
}

function logps(bench: Operands, { name, tokens, hidden: H, vocabulary: V }: Size): Work {
  const R = Math.min(tokens, 256);
  const [rows, head, dy] = [bench.make([R, H]), bench.make([V, H]), bench.make([R])];
  const targets = Array.from({ length: R }, (_, r) => (r * 7919) % V);
  const targetsOnGpu = bench.make([R], 'u32', targets);
  const [X, W, D] = [rows, head, dy].map((tensor) => bench.values(tensor));
  return {
    name: 'token log-probs forward and backward, frozen head',
    shape: `${name}: ${R} x ${H} -> ${V}`,
    cost: { flops: 4 * R * H * V },
    record: gradient(ops.tokenLogps, [rows, head], { targets: targetsOnGpu }, dy, [0]),
    expected: () =>
      samples(R * H, (i) => {
        const [r, h] = [Math.floor(i / H), i % H];
        const logits = Array.from({ length: V }, (_, n) => inner(H, (e) => X[r * H + e] * W[n * H + e]));
        const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
        const weights = logits.map((z) => Math.exp(z - largest));
        const mean = inner(V, (n) => weights[n] * W[n * H + h]) / inner(V, (n) => weights[n]);
        return D[r] * (W[targets[r] * H + h] - mean);
      }).slice(0, 2),
  };
}

function attentionBackward(bench: Operands, { name, tokens: T, heads, kvHeads, headDim }: Size): Work {
  const [q, k, v, dy] = [heads, kvHeads, kvHeads, heads].map((n) => bench.make([T, n * headDim]));
  const [Q, K, U, D] = [q, k, v, dy].map((tensor) => bench.values(tensor));
  const attributes = { layout: causalLayout(bench, T), heads, kvHeads, headDim };
  return {
    name: 'attention forward and backward',
    shape: `${name}: ${T} tokens, ${heads}/${kvHeads} heads of ${headDim}`,
    // Two products forward; five back, since scores are made again. Half of every one is masked.
    cost: { flops: 7 * T * T * heads * headDim },
    record: gradient(ops.attention, [q, k, v], attributes, dy, [0, 1, 2]),
    expected: () =>
      samples(T * heads * headDim, (i) => {
        const [t, h, d] = [Math.floor(i / (heads * headDim)), Math.floor(i / headDim) % heads, i % headDim];
        const own = (e: number) => (t * heads + h) * headDim + e;
        const key = (s: number, e: number) => (s * kvHeads + Math.floor(h / (heads / kvHeads))) * headDim + e;
        const over = (s: number, A: Float32Array, B: Float32Array) =>
          inner(headDim, (e) => A[own(e)] * B[key(s, e)]);
        const scores = Array.from({ length: t + 1 }, (_, s) => over(s, Q, K) / Math.sqrt(headDim));
        const largest = Math.max(...scores);
        const total = inner(t + 1, (s) => Math.exp(scores[s] - largest));
        const p = scores.map((s) => Math.exp(s - largest) / total);
        const dp = scores.map((_, s) => over(s, D, U));
        const delta = inner(t + 1, (s) => p[s] * dp[s]);
        return inner(t + 1, (s) => p[s] * (dp[s] - delta) * K[key(s, d)]) / Math.sqrt(headDim);
      }),
  };
}

function rmsNormBackward(bench: Operands, { name, tokens: T, hidden: H }: Size): Work {
  const [x, w, dy] = [bench.make([T, H]), bench.make([H]), bench.make([T, H])];
  const [X, W, D] = [x, w, dy].map((tensor) => bench.values(tensor));
  return {
    name: 'rms norm forward and backward, frozen weight',
    shape: `${name}: ${T} x ${H}`,
    cost: { bytes: 20 * T * H },
    record: gradient(ops.rmsNorm, [x, w], { eps: 1e-5 }, dy, [0]),
    expected: () =>
      samples(T * H, (i) => {
        const row = Math.floor(i / H) * H;
        const r = 1 / Math.sqrt(inner(H, (h) => X[row + h] ** 2) / H + 1e-5);
        const pull = (inner(H, (h) => D[row + h] * W[h] * X[row + h]) * r * r) / H;
        return r * (D[i] * W[i % H] - X[i] * pull);
      }),
  };
}

function swigluBackward(bench: Operands, { name, tokens: T, inner: I }: Size): Work {
  const [gate, up, dy] = [1, 2, 3].map(() => bench.make([T, I]));
  const [G, U, D] = [gate, up, dy].map((tensor) => bench.values(tensor));
  return {
    name: 'swiglu forward and backward',
    shape: `${name}: ${T} x ${I}`,
    cost: { bytes: 32 * T * I },
    record: gradient(ops.glu, [gate, up], {}, dy, [0, 1]),
    expected: () =>
      samples(T * I, (i) => {
        const s = 1 / (1 + Math.exp(-G[i]));
        return D[i] * U[i] * (s + G[i] * s * (1 - s));
      }),
  };
}

/** A step of AdamW from zero: every weight moves by the learning rate against the sign of its gradient. */
function optimizer(bench: Operands, { name, hidden: H, inner: I }: Size): Work {
  const { gpu } = bench;
  const count = 4 * H * I;
  const slabs = new ParameterSlabs(gpu, [{ name: 'w', shape: [4 * I, H], decays: true }], 'f32');
  const workspace = new Workspace(gpu);
  const settings = {
    adam_beta1: 0.9,
    adam_beta2: 0.999,
    adam_epsilon: 1e-8,
    sgd_momentum: 0,
    weight_decay: 0,
  };
  const adamw = new Optimizer(workspace, slabs, updateRule('adamw', settings), {
    maxGradNorm: 0,
    moments: 'gpu',
  });
  workspace.allocate();
  adamw.configure(1, 0.5);
  bench.onFree(() => {
    workspace.free();
    slabs.free();
  });
  const G = bench.values(bench.make([4 * I, H]));
  const parameter = slabs.parameters.get('w');
  if (parameter?.tensor.gradient === undefined) throw new RangeError('The parameter has no gradient.');
  upload(gpu, parameter.tensor.gradient, Float32Array.from(G));
  return {
    name: 'gradient norm and AdamW',
    shape: `${name}: ${count} parameters`,
    cost: { bytes: 32 * count },
    record: (recorder) => {
      adamw.record(recorder);
      return parameter.master;
    },
    expected: () => samples(count, (i) => -0.5 * Math.sign(G[i])),
  };
}
