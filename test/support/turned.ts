/** A product whose epilogue turns its heads, beside the product and the turn as dispatches of their own. */
import { rowRange, type Tensor, temporary, whole } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import type { Recorder } from '../../src/gpu/program.ts';
import { makeRotaryTable } from '../../src/nn/rotary-table.ts';
import { launchRotary } from '../../src/ops/elementwise/rotary.ts';
import { launchLinear } from '../../src/ops/linear/linear.ts';
import { record } from './record.ts';
import { gridValues, type HostTensor, Workbench } from './workbench.ts';

export interface TurnedProduct {
  readonly rows: number;
  readonly heads: number;
  readonly headDim: number;
  /** Length of the sum. */
  readonly inner: number;
  readonly weightOf: (bench: Workbench, shape: readonly number[]) => Tensor;
  readonly bias?: boolean;
  /** What B of a LoRA pair of rank 8 is stored in. */
  readonly pair?: HostTensor['dtype'];
  /** Whether it is recorded as of a decoding step. */
  readonly few?: boolean;
}

/** Weights in shards that end at `ends`. */
export function inShards(weight: Tensor, ends: readonly number[]): Tensor {
  const shards = ends.flatMap((end, i) => {
    const start = i === 0 ? 0 : ends[i - 1];
    return rowRange(weight, start, end - start).shards.map((shard) => ({ ...shard, rowStart: start }));
  });
  return { ...weight, shards };
}

/** Results, and the kernels of the turned product. */
export async function runTurned(gpu: Gpu, c: TurnedProduct) {
  const { rows, heads, headDim, inner, weightOf, bias = false, pair, few = false } = c;
  const bench = new Workbench(gpu);
  const columns = heads * headDim;
  const thirds = (seed: number, shape: readonly number[]) =>
    bench.floats(`input ${seed}`, { shape, data: Array.from(gridValues(seed, shape).data, (v) => v / 3) });
  const positions = Array.from({ length: rows }, (_, t) => (t * 37) % 200);
  const rotary = {
    ...makeRotaryTable(gpu, 200, headDim, 1e4),
    positions: bench.indices('positions', [rows], positions),
    headDim,
  };
  bench.adopt(rotary.table);
  const x = whole(thirds(1, [rows, inner]));
  const product = { rows, weight: weightOf(bench, [columns, inner]), scale: 1, accumulate: false };
  const extras = {
    added: bias ? { slice: whole(thirds(3, [columns])), isBias: true } : undefined,
    lowRank: pair && {
      own: whole(thirds(4, [rows, 8])),
      other: bench.floats('B', { ...gridValues(5, [columns, 8]), dtype: pair }),
    },
  };
  let kernels: string[] = [];
  const both = (recorder: Recorder) => {
    const made = ['turned', 'straight', 'apart'].map((label) => temporary(recorder, label, [rows, columns]));
    const [turned, straight, apart] = made.map(whole);
    launchLinear(recorder, x, turned, product, { ...extras, rotary });
    kernels = recorder.dispatches.map(({ kernel }) => kernel);
    launchLinear(recorder, x, straight, product, extras);
    launchRotary(recorder, straight, apart, columns, rotary);
    return [made[0], made[2]];
  };
  const [turned, apart] = await record(gpu, (recorder) =>
    few ? recorder.withFewRows(() => both(recorder)) : both(recorder),
  );
  bench.free();
  return { turned, apart, kernels };
}
