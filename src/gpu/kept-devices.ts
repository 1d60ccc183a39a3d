/**
 * Devices that outlive the work done on them: a process that trains and scores many times compiles its kernels once.
 *
 *   const runtime = keepDevices(await detectRuntime());
 *   await train(first, { runtime });
 *   await train(second, { runtime });
 *   runtime.close();
 */
import type { Runtime } from '../runtime/runtime.ts';
import { type OpenDevice, type OpenDeviceOptions, openDevice } from './open-device.ts';

export interface KeepingRuntime extends Runtime {
  /** Destroys the devices. */
  close(): void;
}

const kept = new WeakMap<Runtime, Map<string, OpenDevice>>();

/** The same runtime, whose devices stay open when their work is done, for the next work that asks for them. */
export function keepDevices(runtime: Runtime): KeepingRuntime {
  const devices = new Map<string, OpenDevice>();
  const keeping: KeepingRuntime = {
    ...runtime,
    close() {
      for (const { device } of devices.values()) device.destroy();
      devices.clear();
    },
  };
  kept.set(keeping, devices);
  return keeping;
}

/** A kept device where there is one that still works, else a new one, and whether whoever opens it may destroy it. */
export async function openOrKept(
  runtime: Runtime,
  { device, backend, defaultLimits }: OpenDeviceOptions,
): Promise<{ opened: OpenDevice; isKept: boolean }> {
  const choice = { device, backend, defaultLimits };
  const devices = kept.get(runtime);
  if (devices === undefined) return { opened: await openDevice(runtime, choice), isKept: false };
  const key = JSON.stringify(choice);
  const found = devices.get(key);
  if (found !== undefined && found.failure === undefined) return { opened: found, isKept: true };
  const opened = await openDevice(runtime, choice);
  devices.set(key, opened);
  return { opened, isKept: true };
}
