/** The shortest way to run something on a device. Free of the test runner and of any runtime. */
import { download, type Tensor } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { Program, type Recorder } from '../../src/gpu/program.ts';

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
