/** One device per test process. */
import { Gpu, type GpuOptions } from '../../src/gpu/device.ts';
import { nodeRuntime } from '../../src/runtime/node.ts';

let shared: Promise<Gpu> | undefined;

/** The device of this process, opened when first asked for and kept until the process ends. */
export function testGpu(): Promise<Gpu> {
  shared ??= openGpu();
  return shared;
}

/** Ends that device; whoever asks next gets a new one. For between two test files. */
export async function closeTestGpu(): Promise<void> {
  const closing = shared;
  shared = undefined;
  (await closing)?.close();
}

/** A further device of its own kind, for tests of limits. Whoever opens it closes it. */
export function openGpu(options: GpuOptions = {}): Promise<Gpu> {
  return Gpu.open(nodeRuntime(), options);
}
