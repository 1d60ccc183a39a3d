/** One device per test process, and with it one compilation of each kernel. */
import { Gpu, type GpuOptions } from '../../src/gpu/device.ts';
import { testRuntime } from './runtime.ts';

let shared: Promise<Gpu> | undefined;

/** The GPU that tests of this process share. */
export function testGpu(): Promise<Gpu> {
  shared ??= openGpu();
  return shared;
}

/** Closes it; whoever asks next gets a new one. For between two test files. */
export async function closeTestGpu(): Promise<void> {
  const closing = shared;
  shared = undefined;
  (await closing)?.close();
}

/** A further one, with memory of its own to count and limits of its own. Whoever opens it closes it. */
export function openGpu(options: GpuOptions = {}): Promise<Gpu> {
  return Gpu.open(testRuntime(), options);
}
