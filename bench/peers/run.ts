/** npm run bench -- peers: our products and log-probs beside those of other WebGPU libraries, on one adapter, in one run. */
import { existsSync } from 'node:fs';
import { Gpu, normalAt } from '../../src/engine.ts';
import { Program, type Recorder } from '../../src/gpu/index.ts';
import type { Runtime } from '../../src/index.ts';
import {
  allocateTensor,
  freeTensor,
  launchLinear,
  ops,
  recordFill,
  type Tensor,
  tapeFor,
  upload,
  whole,
} from '../../src/ops/index.ts';
import { provideWebGpu } from '../provide-webgpu.ts';
import { type Row, reportOf } from '../report.ts';
import { median, pairedRatio, takeTurns } from '../timing.ts';
import type { Peer, Work } from './contenders.js';

type Kind = 'matmul' | 'logps' | 'gradient';
const TITLES: Readonly<Record<Kind, string>> = {
  matmul: 'matmul f32',
  logps: 'log-probs forward',
  gradient: 'log-probs forward and backward, frozen head',
};

export async function benchPeers(runtime: Runtime, quick: boolean) {
  const folder = new URL('.', import.meta.url);
  if (!existsSync(new URL('node_modules', folder)))
    throw new Error('Install the peers first: npm ci --prefix bench/peers --ignore-scripts');
  const gpu = await Gpu.open(runtime);
  const { gpujs, jax, tensorflow } = await import('./contenders.js');
  provideWebGpu();
  const peers: Peer[] = [];
  const missing: string[] = [];
  for (const [name, open] of Object.entries({ jax, tensorflow, gpujs }))
    await open()
      .then((peer) => peers.push(peer))
      .catch((error: unknown) => missing.push(`${name}: ${String(error)}`));
  for (const line of missing) console.log(`did not open under Dawn in Node: ${line}`);
  const edges = gpu.isCpu ? (quick ? [512] : [512, 1024]) : [1024, 2048, 4096];
  const head = gpu.isCpu ? { T: 256, H: 512, V: quick ? 4096 : 32000 } : { T: 4096, H: 2048, V: 128256 };
  const rounds = quick ? 3 : 21;
  const rows: Row[] = [];
  for (const edge of edges)
    rows.push(...(await compare(gpu, peers, 'matmul', workOf(edge, edge, edge), rounds)));
  for (const kind of ['logps', 'gradient'] as const)
    rows.push(...(await compare(gpu, peers, kind, workOf(head.T, head.H, head.V), rounds)));
  const report = reportOf(gpu, rows);
  gpu.close();
  return report;
}

function workOf(T: number, H: number, V: number): Work {
  const values = (seed: number, count: number) => {
    const period = Float32Array.from({ length: 65521 }, (_, i) => 0.2 * normalAt(seed, 0, i));
    return Float32Array.from({ length: count }, (_, i) => period[i % period.length]);
  };
  const targets = Int32Array.from({ length: T }, (_, r) => (r * 7919) % V);
  return { x: values(1, T * H), w: values(2, V * H), T, H, V, targets };
}

async function compare(
  gpu: Gpu,
  peers: readonly Peer[],
  kind: Kind,
  work: Work,
  rounds: number,
): Promise<Row[]> {
  const ours = await prepare(gpu, kind, work);
  const expected = await ours.run();
  const contenders = [{ name: 'ours', run: async () => void (await ours.run()) }];
  const checked = new Map<string, boolean>();
  const failed = new Map<string, string>();
  for (const peer of peers) {
    try {
      const run = await peer[kind]?.(work);
      if (run === undefined) continue;
      checked.set(peer.name, isClose(await run(), expected));
      contenders.push({ name: peer.name, run: async () => void (await run()) });
    } catch (error) {
      failed.set(peer.name, String(error).slice(0, 120));
    }
  }
  const times = await takeTurns(contenders, rounds);
  ours.free();
  const shape = `${work.T} x ${work.H} x ${work.V}`;
  const shared = { work: TITLES[kind], shape, ours_ms: median(times.ours) };
  return [
    ...contenders.slice(1).map(({ name }): Row => {
      const ratio = pairedRatio(times[name], times.ours);
      return {
        ...shared,
        peer: name,
        peer_ms: median(times[name]),
        ratio: ratio.median,
        checked: checked.get(name) ?? false,
        note: `under Dawn in Node, results read back by both; ratio in [${ratio.low.toFixed(2)}, ${ratio.high.toFixed(2)}]`,
      };
    }),
    ...[...failed].map(
      ([name, error]): Row => ({
        ...shared,
        peer: name,
        peer_ms: Number.NaN,
        ratio: Number.NaN,
        checked: false,
        note: `failed: ${error}`,
      }),
    ),
  ];
}

function isClose(actual: ArrayLike<number>, expected: ArrayLike<number>): boolean {
  if (actual.length !== expected.length) return false;
  let scale = 1e-3;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]));
  for (let i = 0; i < expected.length; i++)
    if (!(Math.abs(actual[i] - expected[i]) <= 1e-3 * scale)) return false;
  return true;
}

/** Operands on the GPU and the program; `run` gives the whole result, read back. */
async function prepare(gpu: Gpu, kind: Kind, work: Work) {
  const { T, H, V } = work;
  const make = (shape: readonly number[], dtype: 'f32' | 'u32', values: ArrayBufferView<ArrayBuffer>) => {
    const tensor = allocateTensor(gpu, kind, shape, dtype, 'staging');
    upload(gpu, tensor, values);
    return tensor;
  };
  const x = make([T, H], 'f32', work.x);
  const w = make([V, H], 'f32', work.w);
  const targets = make([T], 'u32', Uint32Array.from(work.targets));
  const out = kind === 'matmul' ? make([T, V], 'f32', new Float32Array(T * V)) : undefined;
  let result: Tensor = x;
  const record = (recorder: Recorder): Tensor => {
    if (out !== undefined) {
      launchLinear(recorder, whole(x), whole(out), { rows: T, weight: w, scale: 1, accumulate: false });
      return out;
    }
    const tape = tapeFor(recorder);
    const hidden = { ...x, requiresGrad: kind === 'gradient' };
    const [logps] = tape.apply(ops.tokenLogps, [hidden, w], { targets });
    if (kind === 'logps') return logps;
    const ones = { ...logps, ...allocateTensor(gpu, 'ones', [T], 'f32', 'staging') };
    recordFill(recorder, ones, 1);
    tape.backward(logps, ones);
    const gradient = tape.gradientOf(hidden);
    if (gradient === undefined) throw new RangeError('No gradient came back.');
    return gradient;
  };
  const program = await Program.build(gpu, kind, (recorder) => {
    result = record(recorder);
    for (const { storage } of result.shards) recorder.keep(storage);
  });
  return {
    run: async () => {
      program.run();
      return new Float32Array(await gpu.read(whole(result)));
    },
    free() {
      program.free();
      for (const tensor of [x, w, targets, ...(out === undefined ? [] : [out])]) freeTensor(gpu, tensor);
    },
  };
}
