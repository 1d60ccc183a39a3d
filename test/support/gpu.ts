/** One device per test process, and the shortest way to run something on it. */
import { download, type Tensor } from '../../src/autograd/tensor.ts';
import { Gpu, type GpuOptions } from '../../src/gpu/device.ts';
import { Program, type Recorder } from '../../src/gpu/program.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';

let shared: Promise<Gpu> | undefined;

/** The device of this process, opened when first asked for and kept until the process ends. */
export function testGpu(): Promise<Gpu> {
  shared ??= openGpu();
  return shared;
}

/** A further device of its own kind, for tests of limits. Whoever opens it closes it. */
export function openGpu(options: GpuOptions = {}): Promise<Gpu> {
  return Gpu.open(nodeRuntime(), options);
}

/**
 * Builds a program, runs it once and reads back the f32 tensors that `record` returns.
 * @throws RunError when the device reports an error.
 */
export async function record(
  gpu: Gpu,
  record: (recorder: Recorder) => readonly Tensor[],
): Promise<Float32Array<ArrayBuffer>[]> {
  let results: readonly Tensor[] = [];
  const program = await Program.build(gpu, 'test', (recorder) => {
    results = record(recorder);
    for (const tensor of results) for (const shard of tensor.shards) recorder.keep(shard.storage);
  });
  try {
    program.run();
    const values = await Promise.all(results.map((tensor) => download(gpu, tensor)));
    await gpu.settle();
    return values;
  } finally {
    program.free();
  }
}
