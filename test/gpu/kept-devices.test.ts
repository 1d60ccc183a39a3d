/** A runtime that keeps its devices: one compilation, and memory that is given back all the same. */
import { describe, expect, it } from 'vitest';
import { Gpu } from '../../src/gpu/device.ts';
import { keepDevices } from '../../src/gpu/kept-devices.ts';
import { detectRuntime } from '../../src/runtime/index.ts';

const KERNEL = {
  kernel: 'fill',
  constants: { WORKGROUP: 64 },
  conditions: { VEC4: true },
  overrides: { VALUE: 1 },
};

describe('keepDevices', () => {
  it('gives the same device and its pipelines again, frees memory in between, and ends with the runtime', async () => {
    const runtime = keepDevices(await detectRuntime());
    const first = await Gpu.open(runtime);
    await first.kernels.pipeline(KERNEL);
    expect(first.compiled.pipelines).toBe(1);
    const storage = first.memory.allocate('something', 64, 'batch');
    first.close();
    expect(storage.buffer).toBeUndefined();
    expect(first.memory.current).toBe(0);

    const second = await Gpu.open(runtime);
    expect(second.device).toBe(first.device);
    await second.kernels.pipeline(KERNEL);
    expect(second.compiled).toEqual({ pipelines: 0, seconds: 0 });
    second.close();

    runtime.close();
    const third = await Gpu.open(runtime);
    expect(third.device).not.toBe(first.device);
    runtime.close();
  });

  it('keeps devices of different choices apart', async () => {
    const runtime = keepDevices(await detectRuntime());
    const [usual, limited] = [await Gpu.open(runtime), await Gpu.open(runtime, { defaultLimits: true })];
    expect(limited.device).not.toBe(usual.device);
    runtime.close();
  });
});
